//! Entries that were evicted.

use quick_cache::Lifecycle;

use super::entry::Entry;

/// What gave way; dropped by whoever holds it, outside of every lock.
pub(crate) type Evicted<K, V> = Leaving<K, Entry<V>>;

/// Takes down what leaves.
#[derive(Clone)]
pub(super) struct Leavings;

impl<K, E> Lifecycle<K, E> for Leavings {
    type RequestState = Leaving<K, E>;

    fn on_evict(&self, leaving: &mut Self::RequestState, key: K, entry: E) {
        if leaving.first.is_none() {
            leaving.first = Some((key, entry));
        } else {
            leaving.more.push((key, entry));
        }
    }
}

/// Evicted entries; most often one, which costs no allocation.
#[must_use]
#[derive(Debug)]
pub(crate) struct Leaving<K, E> {
    pub(super) first: Option<(K, E)>,
    pub(super) more: Vec<(K, E)>,
}

impl<K, E> Leaving<K, E> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, E)> {
        self.first.iter().chain(&self.more)
    }
}

impl<K, E> Default for Leaving<K, E> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}
