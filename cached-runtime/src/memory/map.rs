//! The bounded map from keys to entries.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder};

use super::entries::Entries;
use super::entry::Entry;
use super::eviction::Evicted;
use super::number::{from_word, is_number, is_number_key, key_from_word, key_word};
use super::numbers::{Number, Numbers};
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
/// An entry is found by the hash of its key. Where keys are numbers, the hash is the number.
pub(crate) struct Memory<K, V> {
    table: Table<K, V>,
    /// How long an entry is kept after it was fresh, in nanoseconds.
    retention: AtomicU64,
    counters: &'static Counters,
    pub(super) sweeper: Sweeper,
}

enum Table<K, V> {
    /// Keys and values are numbers, and entries have neither tags nor a weight.
    Numbers(Numbers),
    Entries {
        entries: Entries<K, V>,
        hasher: DefaultHashBuilder,
        weigher: Option<Weigher<K, V>>,
    },
}

/// An entry that is to be inserted: what it consists of has been hashed, cloned and weighed.
#[derive(Debug)]
pub(crate) enum Prepared<K, V> {
    Number { key: u64, number: Number },
    Entry(Arc<Stored<K, V>>),
}

/// What the entries of a function consist of, apart from key, value and lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryParts {
    /// Nothing.
    Plain,
    /// Tags, or the compute time that `refresh_ahead` needs.
    Full,
}

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(
        bound: Bound,
        retention: Duration,
        weigher: Option<Weigher<K, V>>,
        parts: EntryParts,
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
        let is_plain = weigher.is_none() && parts == EntryParts::Plain;
        let table = if is_plain && is_number_key::<K>() && is_number::<V>() {
            Table::Numbers(Numbers::new(options))
        } else {
            Table::Entries { entries: Entries::new(options), hasher: DefaultHashBuilder::default(), weigher }
        };
        Self { table, retention: AtomicU64::new(nanos(retention)), counters, sweeper: Sweeper::default() }
    }

    /// Returns the value of a key if it is a plain hit: see [`Entry::is_plain_hit`].
    #[inline]
    pub(crate) fn plain_hit<Q: Hash + Equivalent<K> + ?Sized>(
        &self,
        key: &Q,
        refresh_ahead: Option<f32>,
    ) -> Option<V> {
        match &self.table {
            Table::Numbers(numbers) => numbers.fresh(key_word(key)).and_then(from_word),
            Table::Entries { entries, hasher, .. } => {
                let stored = entries.get(hasher.hash_one(key))?;
                (key.equivalent(&stored.key) && stored.entry.is_plain_hit(refresh_ahead))
                    .then(|| stored.entry.value.clone())
            }
        }
    }

    /// Returns the entry of a key, whether it is fresh or not.
    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Arc<Stored<K, V>>> {
        self.get_by_hash(self.hash(key)).filter(|stored| key.equivalent(&stored.key))
    }

    /// Returns the entry of the key with this hash, or of another one with an equal hash.
    ///
    /// It runs no user code, unless the caller drops the last reference to the entry.
    pub(crate) fn get_by_hash(&self, hash: u64) -> Option<Arc<Stored<K, V>>> {
        match &self.table {
            Table::Numbers(numbers) => {
                let Number { value, stored_at, fresh_until } = numbers.get(hash)?;
                let entry = Entry::plain(from_word(value)?, stored_at, fresh_until);
                Some(Arc::new(Stored { key: key_from_word(hash)?, entry, hash, weight: 1 }))
            }
            Table::Entries { entries, .. } => entries.get(hash),
        }
    }

    /// Returns the hash of a key, by which its entry is found.
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        match &self.table {
            Table::Numbers(_) => key_word(key),
            Table::Entries { hasher, .. } => hasher.hash_one(key),
        }
    }

    /// Makes an entry ready to be inserted.
    pub(crate) fn prepare(&self, key: &K, entry: Entry<V>) -> Prepared<K, V> {
        let hash = self.hash(key);
        if let Table::Numbers(_) = &self.table
            && let Some(number) = entry.to_number()
        {
            return Prepared::Number { key: hash, number };
        }
        let weight = match &self.table {
            // quick_cache never evicts an entry that weighs nothing.
            Table::Entries { weigher: Some(weigh), .. } => weigh(key, &entry.value).max(1),
            Table::Entries { weigher: None, .. } | Table::Numbers(_) => 1,
        };
        Prepared::Entry(Arc::new(Stored { key: key.clone(), entry, hash, weight }))
    }

    /// Inserts an entry, and returns what it replaced and what was evicted for it.
    pub(crate) fn insert(&'static self, prepared: Prepared<K, V>) -> Evicted<K, V> {
        let expires_at = self.expires_at(match &prepared {
            Prepared::Number { number, .. } => number.fresh_until,
            Prepared::Entry(stored) => stored.entry.fresh_until(),
        });
        let (evicted, evictions) = match (&self.table, prepared) {
            (Table::Numbers(numbers), Prepared::Number { key, number }) => {
                (Evicted::default(), numbers.insert(key, number))
            }
            (Table::Entries { entries, .. }, Prepared::Entry(stored)) => entries.insert(stored),
            // A map has one table all its life, and prepares for that one.
            (Table::Numbers(_), Prepared::Entry(_)) | (Table::Entries { .. }, Prepared::Number { .. }) => {
                (Evicted::default(), 0)
            }
        };
        if evictions > 0 {
            self.counters.evictions.add(evictions);
        }
        self.ensure_sweeper(expires_at);
        evicted
    }

    /// Removes the entry of the key with this hash and returns it.
    pub(crate) fn remove(&self, hash: u64) -> Evicted<K, V> {
        match &self.table {
            Table::Numbers(numbers) => {
                numbers.remove(hash);
                Evicted::default()
            }
            Table::Entries { entries, .. } => entries.remove(hash),
        }
    }

    /// Makes the entry of the key with this hash stale, or removes it if stale entries are not kept; returns it.
    pub(crate) fn expire(&'static self, hash: u64) -> Evicted<K, V> {
        if self.retention().is_zero() {
            return self.remove(hash);
        }
        let (expired, fresh_until) = match &self.table {
            Table::Numbers(numbers) => (None, numbers.expire(hash)),
            Table::Entries { entries, .. } => {
                let stored = entries.get(hash);
                let fresh_until = stored.as_ref().map(|stored| stored.entry.expire());
                (stored, fresh_until)
            }
        };
        if let Some(fresh_until) = fresh_until {
            self.ensure_sweeper(self.expires_at(fresh_until));
        }
        Evicted::one(expired)
    }

    pub(crate) fn clear(&self) {
        match &self.table {
            Table::Numbers(numbers) => numbers.clear(),
            Table::Entries { entries, .. } => entries.clear(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.table {
            Table::Numbers(numbers) => numbers.len(),
            Table::Entries { entries, .. } => entries.len(),
        }
    }

    /// Returns the sum of the weights of all entries; without `weigh` the number of entries.
    pub(crate) fn weight(&self) -> u64 {
        match &self.table {
            Table::Numbers(numbers) => numbers.len() as u64,
            Table::Entries { entries, .. } => entries.weight(),
        }
    }

    /// Iterates over the hashes of all keys, with the time when their entries expire. It locks a shard for one entry at
    /// a time.
    pub(super) fn expiries(&self) -> impl Iterator<Item = (u64, Moment)> + Send {
        let (numbers, entries) = match &self.table {
            Table::Numbers(numbers) => (Some(numbers.iter()), None),
            Table::Entries { entries, .. } => (None, Some(entries.iter())),
        };
        let fresh = numbers.into_iter().flatten().chain(entries.into_iter().flatten());
        fresh.map(|(hash, fresh_until)| (hash, self.expires_at(fresh_until)))
    }

    /// Removes the entry of the key with this hash and returns it, if it has expired by `now`.
    pub(super) fn remove_expired(&self, hash: u64, now: Moment) -> Evicted<K, V> {
        let is_expired = |fresh_until| self.expires_at(fresh_until) <= now;
        match &self.table {
            Table::Numbers(numbers) => {
                numbers.remove_expired(hash, is_expired);
                Evicted::default()
            }
            Table::Entries { entries, .. } => entries.remove_expired(hash, is_expired),
        }
    }

    /// Sets how long entries are kept after they were fresh, also those that are there.
    pub(crate) fn set_retention(&self, retention: Duration) {
        self.retention.store(nanos(retention), Ordering::Relaxed);
    }

    fn retention(&self) -> Duration {
        Duration::from_nanos(self.retention.load(Ordering::Relaxed))
    }

    /// Returns when an entry is neither fresh nor stale any more.
    fn expires_at(&self, fresh_until: Moment) -> Moment {
        fresh_until.after(self.retention())
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

/// Returns a duration in nanoseconds; saturates after 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
