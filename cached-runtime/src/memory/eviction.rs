//! Entries that left the map.

use quick_cache::Lifecycle;

use super::entry::Entry;

/// Entries that were evicted, replaced or removed, to be dropped outside of every lock.
///
/// Most often there is one, which costs no allocation.
#[must_use]
#[derive(Debug)]
pub(crate) struct Evicted<K, V> {
    pub(super) first: Option<(K, Entry<V>)>,
    pub(super) more: Vec<(K, Entry<V>)>,
}

impl<K, V> Evicted<K, V> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, Entry<V>)> {
        self.first.iter().chain(&self.more)
    }
}

impl<K, V> Default for Evicted<K, V> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}

/// Collects what an insertion evicts or replaces.
#[derive(Clone)]
pub(super) struct EvictionListener;

impl<K, V> Lifecycle<K, Entry<V>> for EvictionListener {
    type RequestState = Evicted<K, V>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, entry: Entry<V>) {
        if evicted.first.is_none() {
            evicted.first = Some((key, entry));
        } else {
            evicted.more.push((key, entry));
        }
    }
}
