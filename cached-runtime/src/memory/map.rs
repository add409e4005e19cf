//! The bounded map from keys to entries.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};

use super::entry::Entry;
use super::eviction::{Evicted, EvictionListener};
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
/// Methods that take entries out return them, so that the caller can drop them outside of every lock: dropping a value
/// is user code.
pub(crate) struct Memory<K, V> {
    entries: Cache<K, Entry<V>, EntryWeighter<K, V>, DefaultHashBuilder, EvictionListener>,
    /// How long an entry is kept after it was fresh.
    retention: Duration,
    counters: &'static Counters,
    sweeper: Sweeper,
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
        let entries = Cache::with_options(
            options,
            EntryWeighter(weigher),
            DefaultHashBuilder::default(),
            EvictionListener,
        );
        Self { entries, retention, counters, sweeper: Sweeper::default() }
    }

    /// Returns a copy of the entry of a key, whether it is fresh or not.
    #[inline]
    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Entry<V>> {
        self.entries.get(key)
    }

    /// Stores an entry, and returns what it replaced and what was evicted for it.
    pub(crate) fn insert(&'static self, key: K, entry: Entry<V>) -> Evicted<K, V> {
        let mut evicted = Evicted::default();
        let expires_at = self.expires_at(&entry);
        self.entries.insert_with_lifecycle(key, entry, &mut evicted);
        // The listener also gets the entry that was replaced, but the key of that one is still there.
        let evictions = evicted.iter().filter(|(key, _)| !self.entries.contains_key(key)).count();
        if evictions > 0 {
            self.counters.evictions.add(evictions as u64);
        }
        self.ensure_sweeper(expires_at);
        evicted
    }

    /// Removes the entry of a key and returns it.
    pub(crate) fn remove(&self, key: &K) -> Evicted<K, V> {
        Evicted { first: self.entries.remove(key), more: Vec::new() }
    }

    /// Makes the entry of a key stale, or removes it if stale entries are not kept; returns what left the map.
    pub(crate) fn expire(&'static self, key: &K) -> Evicted<K, V> {
        let mut removed = self.remove(key);
        match removed.first.take() {
            Some((key, entry)) if !self.retention.is_zero() => self.insert(key, entry.into_stale()),
            first => Evicted { first, ..removed },
        }
    }

    pub(crate) fn clear(&self) {
        // One at a time, so that no value is dropped under a lock.
        self.entries.drain().for_each(drop);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes sure that a task removes what has expired by `expires_at`: starts one if none is running, or wakes the
    /// running one earlier. The task ends when the map is empty.
    ///
    /// The task belongs to the runtime of the call that stored something, and so follows that runtime's clock. When the
    /// runtime ends, the next insertion starts another task.
    fn ensure_sweeper(&'static self, expires_at: Moment) {
        if self.sweeper.wake_by(expires_at) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(mut guard) = self.sweeper.try_start() else { return };
        runtime.spawn(async move {
            let mut due = expires_at;
            loop {
                guard.wait_until(due).await;
                if let Some(next) = self.sweep().await {
                    due = next;
                    continue;
                }
                drop(guard);
                // An insertion before that line relied on this task.
                let Some(restarted) =
                    Some(()).filter(|()| !self.entries.is_empty()).and_then(|()| self.sweeper.try_start())
                else {
                    return;
                };
                guard = restarted;
                due = Moment::now();
            }
        });
    }

    /// Removes the expired entries; returns when the next one expires, or `None` if none is left.
    ///
    /// Expired keys are collected shard by shard, [`SWEEP_BATCH`] at a time, and removed one by one, so that neither a
    /// caller nor the runtime waits long for it.
    async fn sweep(&self) -> Option<Moment> {
        loop {
            let now = Moment::now();
            let (expired, next) = self.find_expired(now);
            let is_full_batch = expired.len() == SWEEP_BATCH;
            for key in expired {
                drop(self.entries.remove_if(&key, |entry| self.expires_at(entry) <= now));
            }
            if !is_full_batch {
                return next;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns when an entry is neither fresh nor stale any more.
    fn expires_at(&self, entry: &Entry<V>) -> Moment {
        entry.fresh_until().after(self.retention)
    }

    /// Returns up to [`SWEEP_BATCH`] keys whose entries have expired by now, and when the next entry will.
    fn find_expired(&self, now: Moment) -> (Vec<K>, Option<Moment>) {
        let expired = RefCell::new(Vec::new());
        let next = Cell::new(None::<Moment>);
        // `retain` visits entries without cloning them; here it keeps all of them.
        self.entries.retain(|key, entry| {
            let expires_at = self.expires_at(entry);
            if expires_at > now {
                next.set(Some(next.get().map_or(expires_at, |next| next.min(expires_at))));
            } else {
                let mut expired = expired.borrow_mut();
                if expired.len() < SWEEP_BATCH {
                    expired.push(key.clone());
                }
            }
            true
        });
        (expired.into_inner(), next.get())
    }
}

impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// How many expired entries are removed before the sweeper yields.
const SWEEP_BATCH: usize = 1_024;
/// The part of a bound in bytes for which there is one shard.
const BYTES_PER_SHARD: u64 = 16 << 20;
const MAX_SHARDS: usize = 4_096;

/// Returns the number of shards for a bound of this many entries.
///
/// A shard evicts when its own share of the bound is used up: few large shards keep to `capacity` closely, many small
/// ones keep threads apart. With less than 1 024 entries to a shard, keys would not spread evenly enough; with more
/// than 16 384, a sweep would lock a shard for too long.
fn shards_for(entries: usize) -> usize {
    let for_threads = available_parallelism().map_or(4, usize::from) * 4;
    (entries / 1_024).min(for_threads).max(entries / 16_384).clamp(1, MAX_SHARDS)
}

/// Weighs each entry as one, or as the user's `weigh` says.
struct EntryWeighter<K, V>(Option<Weigher<K, V>>);

impl<K, V> Clone for EntryWeighter<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Weighter<K, Entry<V>> for EntryWeighter<K, V> {
    #[inline]
    fn weight(&self, key: &K, entry: &Entry<V>) -> u64 {
        // quick_cache never evicts an entry that weighs nothing.
        self.0.as_ref().map_or(1, |weigh| weigh(key, &entry.value).max(1))
    }
}
