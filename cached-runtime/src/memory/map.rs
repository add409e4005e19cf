//! The bounded map from keys to entries.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};

use super::entry::Entry;
use super::eviction::{Evicted, EvictionListener};
use super::stored::Stored;
use super::sweeper::Sweeper;
use crate::policy::{Bound, Counters};
use crate::util::Moment;

/// Returns how much of a [`Bound::Bytes`] an entry takes up.
pub(crate) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// The entries of one instance of a function, by key.
///
/// The map is bounded: quick_cache evicts by S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO Queues are All You Need for
/// Cache Eviction", SOSP 2023). Expired entries are removed by a task that runs only while there are entries.
///
/// No user code runs under its locks: an entry is found by the hash of its key alone, and the key is compared by the
/// caller that gets the entry. Two keys with equal hashes replace each other. Methods that take entries out return them,
/// so that the caller can drop them outside of every lock.
pub(crate) struct Memory<K, V> {
    entries: Entries<K, V>,
    hasher: DefaultHashBuilder,
    weigher: Option<Weigher<K, V>>,
    /// How long an entry is kept after it was fresh.
    retention: Duration,
    counters: &'static Counters,
    pub(super) sweeper: Sweeper,
}

type Entries<K, V> =
    Cache<u64, Arc<Stored<K, V>>, StoredWeight, BuildHasherDefault<HashOfKey>, EvictionListener>;

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(
        bound: Bound,
        retention: Duration,
        weigher: Option<Weigher<K, V>>,
        counters: &'static Counters,
    ) -> Self {
        let (shards, items, weight) = match bound {
            Bound::Entries(entries) => (shards_for(entries), entries, entries as u64),
            Bound::Bytes(bytes) => (
                usize::try_from(bytes / BYTES_PER_SHARD).unwrap_or(MAX_SHARDS).clamp(1, MAX_SHARDS),
                4_096,
                bytes,
            ),
        };
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(items)
            .weight_capacity(weight)
            .build()
            .expect("both capacities are set");
        let entries =
            Cache::with_options(options, StoredWeight, BuildHasherDefault::default(), EvictionListener);
        let hasher = DefaultHashBuilder::default();
        Self { entries, hasher, weigher, retention, counters, sweeper: Sweeper::default() }
    }

    /// Returns the entry of a key, whether it is fresh or not.
    #[inline]
    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Arc<Stored<K, V>>> {
        self.get_by_hash(self.hash(key)).filter(|stored| key.equivalent(&stored.key))
    }

    /// Returns the entry of the key with this hash, or of another one with an equal hash.
    ///
    /// It runs no user code, unless the caller drops the last reference to the entry.
    #[inline]
    pub(crate) fn get_by_hash(&self, hash: u64) -> Option<Arc<Stored<K, V>>> {
        self.entries.get(&hash)
    }

    /// Returns the hash of a key, by which its entry is found.
    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Weighs an entry that is to be inserted.
    pub(crate) fn prepare(&self, key: K, entry: Entry<V>) -> Arc<Stored<K, V>> {
        let hash = self.hash(&key);
        // quick_cache never evicts an entry that weighs nothing.
        let weight = self.weigher.as_ref().map_or(1, |weigh| weigh(&key, &entry.value).max(1));
        Arc::new(Stored { key, entry, hash, weight })
    }

    /// Inserts an entry, and returns what it replaced and what was evicted for it.
    pub(crate) fn insert(&'static self, stored: Arc<Stored<K, V>>) -> Evicted<K, V> {
        let mut evicted = Evicted::default();
        let expires_at = self.expires_at(&stored.entry);
        self.entries.insert_with_lifecycle(stored.hash, stored, &mut evicted);
        // The listener also gets the entry that was replaced, but the key of that one is still there.
        let evictions = evicted.iter().filter(|stored| !self.entries.contains_key(&stored.hash)).count();
        if evictions > 0 {
            self.counters.evictions.add(evictions as u64);
        }
        self.ensure_sweeper(expires_at);
        evicted
    }

    /// Removes the entry of the key with this hash and returns it.
    pub(crate) fn remove(&self, hash: u64) -> Evicted<K, V> {
        Evicted::one(self.entries.remove(&hash).map(|(_, stored)| stored))
    }

    /// Makes the entry of the key with this hash stale, or removes it if stale entries are not kept; returns it.
    pub(crate) fn expire(&'static self, hash: u64) -> Evicted<K, V> {
        if self.retention.is_zero() {
            return self.remove(hash);
        }
        let expired = self.get_by_hash(hash);
        if let Some(stored) = &expired {
            stored.entry.expire();
            self.ensure_sweeper(self.expires_at(&stored.entry));
        }
        Evicted::one(expired)
    }

    pub(crate) fn clear(&self) {
        // One at a time, so that no value is dropped under a lock.
        self.entries.drain().for_each(drop);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Iterates over the hashes of all keys, with the time when their entries expire. It locks a shard for one entry at
    /// a time.
    pub(super) fn expiries(&self) -> impl Iterator<Item = (u64, Moment)> + Send {
        self.entries.iter().map(|(hash, stored)| (hash, self.expires_at(&stored.entry)))
    }

    /// Removes the entry of the key with this hash and returns it, if it has expired by `now`.
    pub(super) fn remove_expired(&self, hash: u64, now: Moment) -> Evicted<K, V> {
        let removed = self.entries.remove_if(&hash, |stored| self.expires_at(&stored.entry) <= now);
        Evicted::one(removed.map(|(_, stored)| stored))
    }

    /// Returns when an entry is neither fresh nor stale any more.
    fn expires_at(&self, entry: &Entry<V>) -> Moment {
        entry.fresh_until().after(self.retention)
    }
}

impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// The part of a bound in bytes for which there is one shard.
const BYTES_PER_SHARD: u64 = 16 << 20;
const MAX_SHARDS: usize = 4_096;

/// Returns the number of shards for a bound of this many entries.
///
/// A shard evicts when its own share of the bound is used up: few large shards keep to `capacity` closely, many small
/// ones keep threads apart. With less than 1 024 entries to a shard, keys would not spread evenly enough; one with more
/// than 16 384 would stop its callers for long when its table grows.
fn shards_for(entries: usize) -> usize {
    let for_threads = available_parallelism().map_or(4, usize::from) * 4;
    (entries / 1_024).min(for_threads).max(entries / 16_384).clamp(1, MAX_SHARDS)
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

/// The hasher of the map, whose keys are hashes: it returns the number that it is given.
#[derive(Default)]
struct HashOfKey(u64);

impl Hasher for HashOfKey {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached, because a `u64` writes itself by `write_u64`; any mixture is correct.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
