//! The entry of a key of a cached function: where an expansion lists the options and performs an operation.

use std::fmt;
use std::time::Duration;

use super::cached_function::Instance;
use super::operations::Operation;
use crate::call::{CallState, InstanceCache, Purpose, TypedOptions};
use crate::policy::Mode;
use crate::signature::{Absent, KeyParts, ReturnKind};

/// The entry of a key, with the options that depend on the types of the function.
///
/// An expansion starts a chain with [`new`](Self::new), adds an option with each call, and ends it with an operation, by
/// [`memory`](Self::memory) or `shared`.
pub struct EntryRef<P: KeyParts, O: ReturnKind> {
    pub(super) instance: Instance,
    pub(super) parts: P,
    options: TypedOptions<P::Owned, O>,
}

impl<P: KeyParts, O: ReturnKind> EntryRef<P, O> {
    /// Creates the entry of a key of an instance, with the kind of the return type and the test for absent outputs.
    #[inline]
    pub fn new(instance: Instance, parts: P, kind: O, absent: impl Absent<O::Output>) -> Self {
        Self {
            instance,
            parts,
            options: TypedOptions { is_absent: absent.predicate(), ..TypedOptions::new(kind) },
        }
    }

    /// Sets `cache_if = |value| ...`.
    #[inline]
    #[must_use]
    pub fn cache_if(mut self, cache_if: fn(&O::Success) -> bool) -> Self {
        self.options.cache_if = Some(cache_if);
        self
    }

    /// Sets `ttl_from = |value| ...`.
    #[inline]
    #[must_use]
    pub fn ttl_from(mut self, ttl_from: fn(&O::Success) -> Duration) -> Self {
        self.options.ttl_from = Some(ttl_from);
        self
    }

    /// Performs an operation of a function that stores its values in memory.
    #[inline]
    pub fn memory<A: Operation<O::Output>>(mut self, operation: A) -> A::Out {
        self.options.weigh = self.parts.weigh();
        operation.perform(self)
    }

    /// Performs an operation of a function that stores its values in a shared store, or where the configuration says.
    #[cfg(feature = "store")]
    pub fn shared<A: Operation<O::Output>>(mut self, operation: A) -> A::Out
    where
        P: crate::signature::SharedKeyParts,
        O::Value: crate::shared::Storable,
    {
        self.options.weigh = self.parts.weigh();
        self.options.new_tier = Some(crate::shared::Tier::new);
        operation.perform(self)
    }

    /// Sets `tags_from = |value| ...`.
    #[inline]
    #[must_use]
    pub fn tags_from(mut self, tags_from: fn(&O::Success) -> Vec<String>) -> Self {
        self.options.tags_from = Some(tags_from);
        self
    }

    /// Sets what a call returns after `timeout = "2s"`.
    #[inline]
    #[must_use]
    pub fn timed_out(mut self, timed_out: fn() -> O::Output) -> Self {
        self.options.timed_out = Some(timed_out);
        self
    }

    /// Returns the output for a plain hit in memory, or else the state of a call.
    ///
    /// The entry is taken apart: so the compiler writes the options into memory only behind a hit.
    #[inline]
    pub(super) fn hit(self) -> Result<O::Output, Box<CallState<P::Owned, O>>> {
        let Self { instance, parts, options } = self;
        let cache = instance.find_cache::<P::Owned, O>();
        let hit =
            cache.filter(|cache| cache.policy.mode() == Mode::Normal).and_then(|cache| cache.hit(&parts));
        hit.ok_or_else(|| {
            let cache = cache.unwrap_or_else(|| instance.cache(options));
            new_call(cache, &parts, Purpose::of_call(cache.policy.mode()))
        })
    }

    /// Creates the state of a call; `purpose` returns what it is made for.
    pub(super) fn call_state(&self, purpose: impl FnOnce(Mode) -> Purpose) -> Box<CallState<P::Owned, O>> {
        let cache = self.cache();
        new_call(cache, &self.parts, purpose(cache.policy.mode()))
    }

    #[inline]
    pub(super) fn cache(&self) -> &'static InstanceCache<P::Owned, O> {
        self.instance.cache(self.options)
    }
}

fn new_call<P: KeyParts, O: ReturnKind>(
    cache: &'static InstanceCache<P::Owned, O>,
    parts: &P,
    purpose: Purpose,
) -> Box<CallState<P::Owned, O>> {
    CallState::new(cache, parts.to_owned_key(), parts.tags(), purpose)
}

impl<P: KeyParts, O: ReturnKind> fmt::Debug for EntryRef<P, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryRef").field("instance", &self.instance).finish_non_exhaustive()
    }
}
