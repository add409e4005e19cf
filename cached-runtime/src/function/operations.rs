//! The operations on the entry of a key of a cached function.

use std::fmt;

use super::cached_function::Instance;
use super::entry_ref::EntryRef;
use crate::call::{Found, FoundTraced, Miss, Purpose};
use crate::policy::Mode;
use crate::signature::{KeyParts, ReturnKind};
use crate::{BoxFuture, Result};

/// An operation on the entry of a key.
///
/// The output type does not depend on the types of the key and the value, so that an expansion can name it.
pub trait Operation<R> {
    /// The output of the operation.
    type Out;
    /// Performs the operation.
    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out;
}

/// A call: returns the value in memory, or a miss.
#[derive(Debug)]
pub struct Get;

impl<R> Operation<R> for Get {
    type Out = Found<R>;

    #[inline]
    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        match entry.hit() {
            Ok(output) => Found::Hit(output),
            Err(call) => call.get(),
        }
    }
}

/// A call that also returns where the value comes from.
#[derive(Debug)]
pub struct GetTraced;

impl<R> Operation<R> for GetTraced {
    type Out = FoundTraced<R>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        entry.call_state(Purpose::of_call).get_traced()
    }
}

/// A computation that replaces the value.
#[derive(Debug)]
pub struct Refresh;

impl<R> Operation<R> for Refresh {
    type Out = Found<R>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        Found::Miss(Miss::new(entry.call_state(|_| Purpose::Refresh)))
    }
}

/// Removes the value.
#[derive(Debug)]
pub struct Invalidate;

impl<R> Operation<R> for Invalidate {
    type Out = BoxFuture<'static, Result<()>>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        Box::pin(entry.cache().invalidate(entry.parts.to_owned_key()))
    }
}

/// Makes the value stale.
#[derive(Debug)]
pub struct Expire;

impl<R> Operation<R> for Expire {
    type Out = BoxFuture<'static, Result<()>>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        Box::pin(entry.cache().expire(entry.parts.to_owned_key(), entry.parts.tags()))
    }
}

/// Stores an output that the application already has.
#[derive(Debug)]
pub struct Put<R>(pub R);

impl<R> Operation<R> for Put<R> {
    type Out = BoxFuture<'static, Result<()>>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        entry.cache().put(entry.parts.to_owned_key(), entry.parts.tags(), self.0)
    }
}

/// Returns the value that a call would return without computing.
#[derive(Debug)]
pub struct Peek;

impl<R> Operation<R> for Peek {
    type Out = BoxFuture<'static, Option<R>>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        let cache = entry.cache();
        if cache.policy.mode() != Mode::Normal {
            return Box::pin(async { None });
        }
        Box::pin(cache.peek(entry.parts.to_owned_key(), entry.parts.tags()))
    }
}

/// Returns the instance, for what concerns all its keys. The key is ignored.
#[derive(Debug)]
pub struct GetInstance;

impl<R> Operation<R> for GetInstance {
    type Out = Instance;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        entry.instance
    }
}

/// Returns the name of the entry.
#[derive(Debug)]
pub struct Name;

impl<R> Operation<R> for Name {
    type Out = Result<String>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        entry.cache().entry_name(&entry.parts.to_owned_key())
    }
}

/// One of the operations that compute nothing, for [`MethodCache`](super::MethodCache).
#[derive(Debug)]
pub enum AnyOperation<R> {
    /// As [`Invalidate`].
    Invalidate,
    /// As [`Expire`].
    Expire,
    /// As [`Put`].
    Put(R),
    /// As [`Peek`].
    Peek,
    /// As [`Name`].
    Name,
}

/// The output of an [`AnyOperation`].
pub enum AnyOutput<R> {
    /// That of `Invalidate`, `Expire` or `Put`.
    Changed(BoxFuture<'static, Result<()>>),
    /// That of `Peek`.
    Peeked(BoxFuture<'static, Option<R>>),
    /// That of `Name`.
    Named(Result<String>),
}

impl<R> Operation<R> for AnyOperation<R> {
    type Out = AnyOutput<R>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        match self {
            Self::Invalidate => AnyOutput::Changed(Invalidate.perform(entry)),
            Self::Expire => AnyOutput::Changed(Expire.perform(entry)),
            Self::Put(output) => AnyOutput::Changed(Put(output).perform(entry)),
            Self::Peek => AnyOutput::Peeked(Peek.perform(entry)),
            Self::Name => AnyOutput::Named(Name.perform(entry)),
        }
    }
}

impl<R> fmt::Debug for AnyOutput<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyOutput").finish_non_exhaustive()
    }
}
