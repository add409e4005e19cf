//! The table of a function with keys or values of any type.

use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Options, Weighter};

use super::eviction::{Evicted, EvictionListener};
use super::stored::Stored;
use crate::util::{BuildIsHash, Moment};

/// Entries by the hash of their key.
///
/// No user code runs under its locks: an entry is found by the hash alone, and is behind a pointer. The caller that gets
/// the pointer compares the key. Two keys with equal hashes replace each other. Methods that take entries out return
/// them, so that the caller can drop them outside of every lock.
pub(super) struct Entries<K, V>(Cache<u64, Arc<Stored<K, V>>, StoredWeight, BuildIsHash, EvictionListener>);

impl<K, V> Entries<K, V> {
    pub(super) fn new(options: Options) -> Self {
        Self(Cache::with_options(options, StoredWeight, BuildIsHash::default(), EvictionListener))
    }

    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<Arc<Stored<K, V>>> {
        self.0.get(&hash)
    }

    /// Inserts an entry, and returns what it replaced and what was evicted for it, with the number of the latter.
    pub(super) fn insert(&self, stored: Arc<Stored<K, V>>) -> (Evicted<K, V>, u64) {
        let mut evicted = Evicted::default();
        self.0.insert_with_lifecycle(stored.hash, stored, &mut evicted);
        // The listener also gets the entry that was replaced, but the key of that one is still there.
        let evictions = evicted.iter().filter(|stored| !self.0.contains_key(&stored.hash)).count();
        (evicted, evictions as u64)
    }

    pub(super) fn remove(&self, hash: u64) -> Evicted<K, V> {
        Evicted::one(self.0.remove(&hash).map(|(_, stored)| stored))
    }

    /// Removes an entry and returns it, if it was fresh until a time for which `is_expired` returns `true`.
    pub(super) fn remove_expired(&self, hash: u64, is_expired: impl Fn(Moment) -> bool) -> Evicted<K, V> {
        let removed = self.0.remove_if(&hash, |stored| is_expired(stored.entry.fresh_until()));
        Evicted::one(removed.map(|(_, stored)| stored))
    }

    pub(super) fn clear(&self) {
        // One at a time, so that no value is dropped under a lock.
        self.0.drain().for_each(drop);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.0.weight()
    }
}

impl<K: Send + Sync, V: Send + Sync> Entries<K, V> {
    /// Iterates over the hashes of all keys, with the time until which their entries are fresh.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Moment)> + Send {
        self.0.iter().map(|(hash, stored)| (hash, stored.entry.fresh_until()))
    }
}

/// Returns the weight that an entry had when it was inserted: the value may have changed by interior mutability.
#[derive(Clone)]
struct StoredWeight;

impl<K, V> Weighter<u64, Arc<Stored<K, V>>> for StoredWeight {
    #[inline]
    fn weight(&self, _: &u64, stored: &Arc<Stored<K, V>>) -> u64 {
        stored.weight
    }
}
