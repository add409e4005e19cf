//! What can be done at a key of a cached function.

use std::fmt;
use std::time::Duration;

use super::cached_function::Instance;
use crate::call::{Cache, TypedOptions};
use crate::call::{CallState, Purpose};
use crate::call::{Found, FoundTraced, Miss};
use crate::signature::KeyParts;
use crate::signature::{Absent, ReturnKind};
use crate::{BoxFuture, Result, Stats};

/// A key of a function, with the rest of its policy: the start of a chain that ends in a verb.
pub struct EntryRef<P: KeyParts, O: ReturnKind> {
    instance: Instance,
    parts: P,
    rules: TypedOptions<P::Owned, O>,
}

impl<P: KeyParts, O: ReturnKind> EntryRef<P, O> {
    /// A key of an instance, with the kind of its outcome and when that is absent.
    #[inline]
    pub fn new(instance: Instance, parts: P, _kind: O, absent: impl Absent<O::Output>) -> Self {
        Self { instance, parts, rules: TypedOptions { absent: absent.test(), ..TypedOptions::NONE } }
    }

    /// `cache_if = |value| ...`
    #[inline]
    #[must_use]
    pub fn cache_if(mut self, cache_if: fn(&O::Success) -> bool) -> Self {
        self.rules.cache_if = Some(cache_if);
        self
    }

    /// `ttl_from = |value| ...`
    #[inline]
    #[must_use]
    pub fn ttl_from(mut self, ttl_from: fn(&O::Success) -> Duration) -> Self {
        self.rules.ttl_from = Some(ttl_from);
        self
    }

    /// Does it to a function that remembers in memory.
    #[inline]
    pub fn memory<V: Operation<O::Output>>(mut self, operation: V) -> V::Out {
        self.rules.weigh = self.parts.weigh();
        operation.act(self)
    }

    /// Does it to a function that remembers in a shared store.
    #[cfg(feature = "store")]
    pub fn shared<V: Operation<O::Output>>(mut self, operation: V) -> V::Out
    where
        P: crate::signature::SharedKeyParts,
        O::Value: crate::shared::Storable,
    {
        self.rules.tier = Some(crate::shared::Tier::new);
        operation.act(self)
    }

    /// `tags_from = |value| ...`
    #[inline]
    #[must_use]
    pub fn tags_from(mut self, tags_from: fn(&O::Success) -> Vec<String>) -> Self {
        self.rules.tags_from = Some(tags_from);
        self
    }

    /// `timeout = "2s"`
    #[inline]
    #[must_use]
    pub fn timed_out(mut self, timed_out: fn() -> O::Output) -> Self {
        self.rules.timed_out = Some(timed_out);
        self
    }

    /// A call at this key that is no plain hit.
    fn attempt(&self, purpose: Purpose) -> CallState<P::Owned, O> {
        CallState::new(self.cache(), self.parts.own(), self.parts.tags(), purpose)
    }

    #[inline]
    fn cache(&self) -> &'static Cache<P::Owned, O> {
        self.instance.cache(self.rules)
    }
}

impl<P: KeyParts, O: ReturnKind> fmt::Debug for EntryRef<P, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryRef").field("instance", &self.instance).finish_non_exhaustive()
    }
}

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
