//! A key of a cached function, on which operations are performed.

use std::fmt;
use std::time::Duration;

use super::cached_function::Instance;
use super::operations::Operation;
use crate::call::{CallState, InstanceCache, Purpose, TypedOptions};
use crate::signature::{Absent, KeyParts, ReturnKind};

/// A key of a function, with the rest of its policy: the start of a chain that ends in a verb.
pub struct EntryRef<P: KeyParts, O: ReturnKind> {
    pub(super) instance: Instance,
    pub(super) parts: P,
    rules: TypedOptions<P::Owned, O>,
}

impl<P: KeyParts, O: ReturnKind> EntryRef<P, O> {
    /// A key of an instance, with the kind of its outcome and when that is absent.
    #[inline]
    pub fn new(instance: Instance, parts: P, _kind: O, absent: impl Absent<O::Output>) -> Self {
        Self { instance, parts, rules: TypedOptions { is_absent: absent.test(), ..TypedOptions::NONE } }
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
        self.rules.new_tier = Some(crate::shared::Tier::new);
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
    pub(super) fn attempt(&self, purpose: Purpose) -> CallState<P::Owned, O> {
        CallState::new(self.cache(), self.parts.own(), self.parts.tags(), purpose)
    }

    #[inline]
    pub(super) fn cache(&self) -> &'static InstanceCache<P::Owned, O> {
        self.instance.cache(self.rules)
    }
}

impl<P: KeyParts, O: ReturnKind> fmt::Debug for EntryRef<P, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryRef").field("instance", &self.instance).finish_non_exhaustive()
    }
}
