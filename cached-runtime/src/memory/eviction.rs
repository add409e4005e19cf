//! Entries that left the map.

use std::sync::Arc;

use quick_cache::Lifecycle;

use super::stored::Stored;

/// Entries that were evicted, replaced or removed, to be dropped outside of every lock.
///
/// Most often there is one, which costs no allocation.
#[must_use]
#[derive(Debug)]
pub(crate) struct Evicted<K, V> {
    first: Option<Arc<Stored<K, V>>>,
    more: Vec<Arc<Stored<K, V>>>,
}

impl<K, V> Evicted<K, V> {
    pub(super) fn one(removed: Option<Arc<Stored<K, V>>>) -> Self {
        Self { first: removed, more: Vec::new() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stored<K, V>> {
        self.first.iter().chain(&self.more).map(|stored| &**stored)
    }
}

impl<K, V> Default for Evicted<K, V> {
    fn default() -> Self {
        Self::one(None)
    }
}

/// Collects what an insertion evicts or replaces.
#[derive(Clone)]
pub(super) struct EvictionListener;

impl<K, V> Lifecycle<u64, Arc<Stored<K, V>>> for EvictionListener {
    type RequestState = Evicted<K, V>;

    fn on_evict(&self, evicted: &mut Self::RequestState, _: u64, stored: Arc<Stored<K, V>>) {
        if evicted.first.is_none() {
            evicted.first = Some(stored);
        } else {
            evicted.more.push(stored);
        }
    }
}
