//! The operations on the entry of a key of a cached function.

use super::entry_ref::EntryRef;
use crate::call::{Found, FoundTraced, Miss, Purpose};
use crate::signature::{KeyParts, ReturnKind};
use crate::{BoxFuture, Result, Stats};

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
            Err(entry) => entry.call_state(Purpose::Answer).get(),
        }
    }
}

/// A call that also returns where the value comes from.
#[derive(Debug)]
pub struct GetTraced;

impl<R> Operation<R> for GetTraced {
    type Out = FoundTraced<R>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        entry.call_state(Purpose::Answer).get_traced()
    }
}

/// A computation that replaces the value.
#[derive(Debug)]
pub struct Refresh;

impl<R> Operation<R> for Refresh {
    type Out = Found<R>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        Found::Miss(Miss::new(entry.call_state(Purpose::Refresh)))
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
        Box::pin(entry.cache().peek(entry.parts.to_owned_key(), entry.parts.tags()))
    }
}

/// Removes every value of the instance. The key is ignored.
#[derive(Debug)]
pub struct Clear;

impl<R> Operation<R> for Clear {
    type Out = BoxFuture<'static, Result<()>>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        entry.instance.clear()
    }
}

/// Returns the statistics of the function. The key is ignored.
#[derive(Debug)]
pub struct ReadStats;

impl<R> Operation<R> for ReadStats {
    type Out = Stats;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        entry.instance.stats()
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
}

/// The output of an [`AnyOperation`].
#[derive(Debug)]
pub enum AnyOutput<R> {
    /// The result of `Invalidate`, `Expire` or `Put`.
    Changed(Result<()>),
    /// The output of `Peek`.
    Peeked(Option<R>),
}

impl<R: 'static> Operation<R> for AnyOperation<R> {
    type Out = BoxFuture<'static, AnyOutput<R>>;

    fn perform<P: KeyParts, O: ReturnKind<Output = R>>(self, entry: EntryRef<P, O>) -> Self::Out {
        match self {
            Self::Invalidate => changed(Invalidate.perform(entry)),
            Self::Expire => changed(Expire.perform(entry)),
            Self::Put(output) => changed(Put(output).perform(entry)),
            Self::Peek => {
                let peeked = Peek.perform(entry);
                Box::pin(async { AnyOutput::Peeked(peeked.await) })
            }
        }
    }
}

fn changed<R: 'static>(change: BoxFuture<'static, Result<()>>) -> BoxFuture<'static, AnyOutput<R>> {
    Box::pin(async { AnyOutput::Changed(change.await) })
}
