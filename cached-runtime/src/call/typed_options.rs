//! The options whose types only the function itself knows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::memory::Weigher;
use crate::policy::{Counters, InstanceName, Policy};
use crate::shared::Tier;
use crate::signature::{ReturnKind, TimeoutOutput};

/// The options of a function that depend on the types of its key and its return value.
pub(crate) struct TypedOptions<K, O: ReturnKind> {
    pub(crate) kind: O,
    pub(crate) cache_if: Option<fn(&O::Success) -> bool>,
    pub(crate) ttl_from: Option<fn(&O::Success) -> Duration>,
    pub(crate) is_absent: Option<fn(&O::Output) -> bool>,
    pub(crate) weigh: Option<fn(&K, &O::Success) -> u64>,
    pub(crate) tags_from: Option<TagsFrom<O::Success>>,
    pub(crate) timed_out: Option<TimeoutOutput<O::Output>>,
    pub(crate) new_tier: Option<NewTier<K, O::Value>>,
}

/// Returns the tags that are derived from a value.
pub(crate) type TagsFrom<S> = fn(&S) -> Vec<String>;

/// Creates the shared tier of an instance.
pub(crate) type NewTier<K, V> = fn(
    &'static Policy,
    &InstanceName,
    &'static Counters,
    is_err: fn(&V) -> bool,
    has_tags_from: bool,
) -> Tier<K, V>;

impl<K, O: ReturnKind> TypedOptions<K, O> {
    pub(crate) const fn new(kind: O) -> Self {
        Self {
            kind,
            cache_if: None,
            ttl_from: None,
            is_absent: None,
            weigh: None,
            tags_from: None,
            timed_out: None,
            new_tier: None,
        }
    }

    /// Returns the weigher of entries, if the function has one.
    ///
    /// The user's function weighs successes; any other stored value weighs its own size in bytes.
    pub(super) fn weigher(self) -> Option<Weigher<K, O::Value>>
    where
        K: 'static,
    {
        let weigh = self.weigh?;
        Some(Arc::new(move |key, value| match O::stored_success(value) {
            Some(success) => weigh(key, success),
            None => size_of::<O::Value>() as u64,
        }))
    }
}

impl<K, O: ReturnKind> Clone for TypedOptions<K, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, O: ReturnKind> Copy for TypedOptions<K, O> {}

impl<K, O: ReturnKind> fmt::Debug for TypedOptions<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedOptions").finish_non_exhaustive()
    }
}
