//! The tier inside the process.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, OptionsBuilder, Weighter};
use tokio::sync::Notify;

use super::entry::Entry;
use crate::policy::Bound;
use crate::policy::Counters;
use crate::util::{AtomicMoment, Moment};

/// How much an entry counts against the bound.
pub(crate) type Weigh<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// Entries by key: bounded, and swept of what has expired while it holds any.
pub(crate) struct Memory<K, V> {
    entries: Cache<K, Entry<V>, Weight<K, V>, DefaultHashBuilder, Leavings>,
    /// How long a value is kept after it was fresh.
    retention: Duration,
    counters: &'static Counters,
    sweeper: Sweeper,
}

/// What gave way; dropped by whoever holds it, outside of every lock.
pub(crate) type Evicted<K, V> = Leaving<K, Entry<V>>;

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(
        bound: Bound,
        retention: Duration,
        weigh: Option<Weigh<K, V>>,
        counters: &'static Counters,
    ) -> Self {
        let (shards, items, weight) = match bound {
            Bound::Entries(entries) => (shards_for(entries), entries, entries as u64),
            Bound::Bytes(bytes) => (
                usize::try_from(bytes / BYTES_A_SHARD).unwrap_or(MAX_SHARDS).clamp(1, MAX_SHARDS),
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
        let entries = Cache::with_options(options, Weight(weigh), DefaultHashBuilder::default(), Leavings);
        Self { entries, retention, counters, sweeper: Sweeper::default() }
    }

    /// A copy of what is under a key, be it fresh or not.
    #[inline]
    pub(crate) fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<Entry<V>> {
        self.entries.get(key)
    }

    /// Stores an entry; returns what gave way to it.
    pub(crate) fn insert(&'static self, key: K, entry: Entry<V>) -> Evicted<K, V> {
        let mut evicted = Leaving::default();
        let expires = self.end(&entry);
        self.entries.insert_with_lifecycle(key, entry, &mut evicted);
        // What was replaced has left too, but its key is still there.
        let evictions = evicted.iter().filter(|(key, _)| !self.entries.contains_key(key)).count();
        if evictions > 0 {
            self.counters.evictions.add(evictions as u64);
        }
        self.see_to_sweeping(expires);
        evicted
    }

    /// Removes an entry, and returns it for the same reason.
    pub(crate) fn remove(&self, key: &K) -> Evicted<K, V> {
        Leaving { first: self.entries.remove(key), more: Vec::new() }
    }

    /// Makes what is under a key stale, if it is kept then; returns what gave way.
    pub(crate) fn expire(&'static self, key: &K) -> Evicted<K, V> {
        let mut removed = self.remove(key);
        match removed.first.take() {
            Some((key, entry)) if !self.retention.is_zero() => self.insert(key, entry.expired()),
            first => Leaving { first, ..removed },
        }
    }

    pub(crate) fn clear(&self) {
        // One at a time, so that no value is dropped under a lock.
        self.entries.drain().for_each(drop);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Starts a task that sweeps until nothing is left, unless one is at it; then it is told if it would come too late.
    ///
    /// The task belongs to the runtime of the call that stored something, and so goes by that runtime's clock; when the
    /// runtime ends, the next value stored starts another.
    fn see_to_sweeping(&'static self, expires: Moment) {
        if self.sweeper.is_told_in_time(expires) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(mut sweeping) = self.sweeper.start() else { return };
        runtime.spawn(async move {
            let mut due = expires;
            loop {
                sweeping.until(due).await;
                if let Some(next) = self.sweep().await {
                    due = next;
                    continue;
                }
                drop(sweeping);
                // Whoever stored something before that line relied on this task.
                let Some(again) =
                    Some(()).filter(|()| !self.entries.is_empty()).and_then(|()| self.sweeper.start())
                else {
                    return;
                };
                sweeping = again;
                due = Moment::now();
            }
        });
    }

    /// Removes what has expired; returns when to come again, if anything is left.
    ///
    /// Expired keys are collected shard by shard, a bounded number at a time, and removed one by one, so that
    /// neither a caller nor the runtime waits long for it.
    async fn sweep(&self) -> Option<Moment> {
        loop {
            let now = Moment::now();
            let (expired, next) = self.expired(now);
            let more = expired.len() == SWEPT_AT_ONCE;
            for key in expired {
                drop(self.entries.remove_if(&key, |entry| self.end(entry) <= now));
            }
            if !more {
                return next;
            }
            tokio::task::yield_now().await;
        }
    }

    /// When an entry is of no use any more.
    fn end(&self, entry: &Entry<V>) -> Moment {
        entry.fresh_until().after(self.retention)
    }

    /// Some of the keys that have expired by now, and the first moment at which another will.
    fn expired(&self, now: Moment) -> (Vec<K>, Option<Moment>) {
        let expired = RefCell::new(Vec::new());
        let next = Cell::new(None::<Moment>);
        self.entries.retain(|key, entry| {
            let moment = self.end(entry);
            if moment > now {
                next.set(Some(next.get().map_or(moment, |next| next.min(moment))));
            } else {
                let mut expired = expired.borrow_mut();
                if expired.len() < SWEPT_AT_ONCE {
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

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const SWEPT_AT_ONCE: usize = 1_024;
const BYTES_A_SHARD: u64 = 16 << 20;
const MAX_SHARDS: usize = 4_096;

/// A shard evicts when its own share of the bound is used up, so few and large shards keep the promise of
/// `capacity` and many small ones keep threads apart. Below 1 024 entries a share would be too small for keys to
/// spread evenly; above 16 384 a sweep would hold a shard too long.
fn shards_for(entries: usize) -> usize {
    let for_threads = available_parallelism().map_or(4, usize::from) * 4;
    (entries / 1_024).min(for_threads).max(entries / 16_384).clamp(1, MAX_SHARDS)
}

/// Whether a sweeper is at work, and when it will come.
#[derive(Default)]
struct Sweeper {
    at_work: AtomicBool,
    /// When it will come, or `Moment::NEVER` while it sweeps.
    due: AtomicMoment,
    sooner: Notify,
}

impl Sweeper {
    /// Whether a sweeper is there; it will come at that moment at the latest.
    fn is_told_in_time(&self, expires: Moment) -> bool {
        if !self.at_work.load(Ordering::Acquire) {
            return false;
        }
        if self.due.lower(expires) {
            self.sooner.notify_one();
        }
        true
    }

    /// The right to sweep, if nobody has it.
    fn start(&'static self) -> Option<Sweeping> {
        (!self.at_work.swap(true, Ordering::AcqRel)).then(|| Sweeping(self))
    }
}

/// Whoever sweeps; gives the right back also when its runtime ends.
struct Sweeping(&'static Sweeper);

impl Sweeping {
    /// Waits until something is to be swept: at that moment, or sooner if something is stored that expires sooner.
    async fn until(&mut self, mut due: Moment) {
        self.0.due.lower(due);
        // Many things that expire one after another are swept together.
        tokio::time::sleep(SHORTEST_PAUSE).await;
        loop {
            let told = self.0.sooner.notified();
            due = due.min(self.0.due.get());
            let now = Moment::now();
            if due < now {
                self.0.due.reset();
                return;
            }
            let _ = tokio::time::timeout(due.since(now) + Duration::from_millis(1), told).await;
        }
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.0.due.reset();
        self.0.at_work.store(false, Ordering::Release);
    }
}

/// Counts each entry as one, or as what the user says.
struct Weight<K, V>(Option<Weigh<K, V>>);

impl<K, V> Clone for Weight<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Weighter<K, Entry<V>> for Weight<K, V> {
    #[inline]
    fn weight(&self, key: &K, entry: &Entry<V>) -> u64 {
        // An entry that weighs nothing could never be evicted.
        self.0.as_ref().map_or(1, |weigh| weigh(key, &entry.value).max(1))
    }
}

/// Takes down what leaves.
#[derive(Clone)]
struct Leavings;

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
    first: Option<(K, E)>,
    more: Vec<(K, E)>,
}

impl<K, E> Leaving<K, E> {
    fn iter(&self) -> impl Iterator<Item = &(K, E)> {
        self.first.iter().chain(&self.more)
    }
}

impl<K, E> Default for Leaving<K, E> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}
