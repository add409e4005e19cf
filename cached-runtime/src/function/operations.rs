//! What can be done at a key of a cached function.

use super::entry_ref::EntryRef;
use crate::call::{Found, FoundTraced, Miss, Purpose};
use crate::signature::{KeyParts, ReturnKind};
use crate::{BoxFuture, Result, Stats};

/// Something that can be done at a key. What comes out is named without the types of the key and the value.
pub trait Operation<R> {
    /// What comes out.
    type Out;
    /// Does it.
    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out;
}

/// A call: what is in memory, or else a miss.
#[derive(Debug)]
pub struct Get;

impl<R> Operation<R> for Get {
    type Out = Found<R>;

    #[inline]
    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        match at.cache().hit(&at.parts) {
            Some(output) => Found::Hit(output),
            None => at.attempt(Purpose::Answer).get(),
        }
    }
}

/// A call that wants to know where the value comes from.
#[derive(Debug)]
pub struct GetTraced;

impl<R> Operation<R> for GetTraced {
    type Out = FoundTraced<R>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        at.attempt(Purpose::Answer).get_traced()
    }
}

/// A computation that replaces what is there.
#[derive(Debug)]
pub struct Refresh;

impl<R> Operation<R> for Refresh {
    type Out = Found<R>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        Found::Miss(Miss::new(at.attempt(Purpose::Refresh)))
    }
}

/// The end of a value.
#[derive(Debug)]
pub struct Invalidate;

impl<R> Operation<R> for Invalidate {
    type Out = BoxFuture<'static, Result<()>>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        Box::pin(at.cache().invalidate(at.parts.own()))
    }
}

/// The end of a value as a fresh one.
#[derive(Debug)]
pub struct Expire;

impl<R> Operation<R> for Expire {
    type Out = BoxFuture<'static, Result<()>>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        Box::pin(at.cache().expire(at.parts.own(), at.parts.tags()))
    }
}

/// A value that the application already has.
#[derive(Debug)]
pub struct Put<R>(pub R);

impl<R> Operation<R> for Put<R> {
    type Out = BoxFuture<'static, Result<()>>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        at.cache().put(at.parts.own(), at.parts.tags(), &self.0)
    }
}

/// A look without a computation.
#[derive(Debug)]
pub struct Peek;

impl<R> Operation<R> for Peek {
    type Out = BoxFuture<'static, Option<R>>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        Box::pin(at.cache().peek(at.parts.own(), at.parts.tags()))
    }
}

/// The end of every value of the instance, whatever the key.
#[derive(Debug)]
pub struct Clear;

impl<R> Operation<R> for Clear {
    type Out = BoxFuture<'static, Result<()>>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        at.instance.clear()
    }
}

/// What the function has done so far, whatever the key.
#[derive(Debug)]
pub struct ReadStats;

impl<R> Operation<R> for ReadStats {
    type Out = Stats;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        at.instance.stats()
    }
}

/// Any of the verbs that compute nothing, for the companions of methods.
#[derive(Debug)]
pub enum AnyOperation<R> {
    /// [`Invalidate`]
    Invalidate,
    /// [`Expire`]
    Expire,
    /// [`Put`]
    Put(R),
    /// [`Peek`]
    Peek,
}

/// What [`Any`] comes to.
#[derive(Debug)]
pub enum AnyOutput<R> {
    /// Of `Invalidate`, `Expire` and `Put`.
    Changed(Result<()>),
    /// Of `Peek`.
    Peeked(Option<R>),
}

impl<R: 'static> Operation<R> for AnyOperation<R> {
    type Out = BoxFuture<'static, AnyOutput<R>>;

    fn act<P: KeyParts, O: ReturnKind<Output = R>>(self, at: EntryRef<P, O>) -> Self::Out {
        match self {
            Self::Invalidate => changed(Invalidate.act(at)),
            Self::Expire => changed(Expire.act(at)),
            Self::Put(output) => changed(Put(output).act(at)),
            Self::Peek => {
                let peeked = Peek.act(at);
                Box::pin(async { AnyOutput::Peeked(peeked.await) })
            }
        }
    }
}

fn changed<R: 'static>(change: BoxFuture<'static, Result<()>>) -> BoxFuture<'static, AnyOutput<R>> {
    Box::pin(async { AnyOutput::Changed(change.await) })
}
