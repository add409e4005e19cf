//! Single flight: of the concurrent calls in this process that miss one key, one computes and the others wait.
//!
//! The single-flight pattern is that of Go's `golang.org/x/sync/singleflight`; here a flight can also be discarded. A
//! flight is in the table from its start until it is completed, abandoned, or discarded by an invalidation. The result
//! of a discarded flight is not stored; any other result is stored under the lock of the shard. So when `invalidate`
//! has returned, no result of an earlier computation is stored, and no call joins one.
//!
//! Other processes can invalidate too, and only the store knows of it. A result that the store did not confirm is
//! returned only to followers that called before the body began: the body has seen every invalidation that they know
//! of.
//!
//! No user code runs under the locks. A flight is found by the hash of its key; the key is compared, cloned and dropped
//! outside of them, and so is everything that a flight holds.
//!
//! A failure that cannot be shared leaves its followers without an answer. They try again: one of them, and if that fails
//! as well, up to [`MAX_RETRIES`] at a time, each with a flight of its own. The others follow one of these flights.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use quick_cache::DefaultHashBuilder;

use super::flight::{Flight, Follower, lock};
use super::poll_guard::{PollGuard, is_polling};
use crate::util::sync::{Mutex, MutexGuard};

/// The flights of one function, by key.
///
/// `S` is what followers get, `H` what an abandoned flight hands over to the next leader.
#[derive(Debug)]
pub(crate) struct Flights<K, S, H> {
    shards: Box<[Mutex<Shard<K, S, H>>]>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Shard<K, S, H> {
    /// By the hash of the key.
    in_flight: HashMap<u64, Entry<K, S, H>, DefaultHashBuilder>,
    /// The number of invalidations in this shard, for computations that are not in the table.
    invalidations: u64,
}

/// The flights of one key in the table, never none: the first, and those of retries beside it.
#[derive(Debug)]
struct Entry<K, S, H> {
    key: Arc<K>,
    first: Arc<Flight<S, H>>,
    retries: Vec<Arc<Flight<S, H>>>,
}

/// How a call may compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// If no other call computes.
    Alone,
    /// Beside others, up to [`MAX_RETRIES`] of them together.
    BesideOthers,
}

/// The outcome of joining the flight of a key.
#[derive(Debug)]
pub(crate) enum Joined<T, S, H> {
    /// The key was cached in the meantime.
    Cached(T),
    /// This call computes.
    Leader(Arc<Flight<S, H>>),
    /// Another call computes.
    Follower(Follower<S, H>),
    /// This call was made by the very computation that it would wait for, or another key with the same hash is in flight.
    Recursive,
}

/// The number of computations of a key that run at a time after some have failed without an error for their followers.
pub(crate) const MAX_RETRIES: usize = 4;

/// The number of shards of a table.
const SHARDS: usize = 16;

impl<K: Hash + Eq, S, H> Flights<K, S, H> {
    pub(crate) fn new() -> Self {
        Self::with_shards(SHARDS)
    }

    /// Creates a table with a number of shards; each has its own lock.
    pub(crate) fn with_shards(shards: usize) -> Self {
        let hasher = DefaultHashBuilder::default();
        let shard = || {
            Mutex::new(Shard {
                in_flight: HashMap::with_hasher(DefaultHashBuilder::default()),
                invalidations: 0,
            })
        };
        Self { shards: (0..shards).map(|_| shard()).collect(), hasher }
    }

    /// Joins the flight of a key or begins one.
    ///
    /// Before it begins one, it checks with `cached`, under the lock, whether the key was cached in the meantime.
    pub(crate) fn join<T>(
        &self,
        key: &Arc<K>,
        attempt: Attempt,
        cached: impl FnOnce() -> Option<T>,
    ) -> Joined<T, S, H> {
        let hash = self.hash(key);
        // This holds even if the computation that made this call was discarded in the meantime: that computation may
        // hold the lease that the current leader waits for.
        if is_polling(hash) {
            return Joined::Recursive;
        }
        // The key of a flight that was compared with `key`, outside of the lock.
        let mut equal: Option<Arc<K>> = None;
        loop {
            let mut shard = self.shard(hash);
            let current = shard.in_flight.get_mut(&hash).filter(|entry| entry.first.is_current());
            let Some(entry) = current else {
                if let Some(cached) = cached() {
                    return Joined::Cached(cached);
                }
                let (flight, replaced) = shard.begin(hash, key);
                drop(shard);
                drop(replaced);
                return Joined::Leader(flight);
            };
            let flying = Arc::clone(&entry.key);
            if attempt == Attempt::Alone || entry.len() >= MAX_RETRIES {
                let follower = entry.least_followed().follow();
                drop(shard);
                return if *flying == **key { Joined::Follower(follower) } else { Joined::Recursive };
            }
            if equal.as_ref().is_some_and(|equal| Arc::ptr_eq(equal, &flying)) {
                if let Some(cached) = cached() {
                    return Joined::Cached(cached);
                }
                let flight = Arc::new(Flight::new(shard.invalidations));
                if let Some(entry) = shard.in_flight.get_mut(&hash) {
                    entry.retries.push(Arc::clone(&flight));
                }
                return Joined::Leader(flight);
            }
            drop(shard);
            if *flying != **key {
                return Joined::Recursive;
            }
            equal = Some(flying);
        }
    }

    /// Returns `true` if this is the only flight of the key.
    pub(crate) fn is_alone(&self, key: &K, flight: &Arc<Flight<S, H>>) -> bool {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let current = shard.in_flight.get(&hash);
        current.is_none_or(|entry| entry.len() == 1 && Arc::ptr_eq(&entry.first, flight))
    }

    /// Begins a flight, and discards the one that is in flight.
    pub(crate) fn supersede(&self, key: &Arc<K>) -> Arc<Flight<S, H>> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        shard.invalidations += 1;
        let (flight, replaced) = shard.begin(hash, key);
        drop(shard);
        drop(replaced);
        flight
    }

    /// Ends a flight and calls `store` under the lock, unless the flight was discarded.
    ///
    /// The result of a flight that was withdrawn, because a follower timed out, is stored too: it is no older than the
    /// result of the next flight. But that requires that nothing in the shard was invalidated since it began, because
    /// the table no longer shows whether its own key was.
    pub(crate) fn complete<T>(
        &self,
        key: &K,
        flight: &Arc<Flight<S, H>>,
        store: impl FnOnce() -> T,
    ) -> Option<T> {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        let removed = shard.remove(hash, flight);
        let is_valid = removed.is_some() || shard.invalidations == flight.invalidations;
        let stored = is_valid.then(store);
        drop(shard);
        drop(removed);
        stored
    }

    /// Removes a flight from the table, if it is still there, so that the next call begins another.
    pub(crate) fn withdraw(&self, key: &K, flight: &Arc<Flight<S, H>>) {
        let hash = self.hash(key);
        let removed = self.shard(hash).remove(hash, flight);
        drop(removed);
    }

    /// Seals a flight: calls that join later may be newer than its result. Returns `true` if it has followers already.
    ///
    /// The result is sent to the store after this, so the answer of the store holds for all followers that joined
    /// before.
    pub(crate) fn seal(&self, key: &K, flight: &Arc<Flight<S, H>>) -> bool {
        let _shard = self.shard(self.hash(key));
        flight.seal()
    }

    /// Discards the flight of a key, and calls `change` before another call can join.
    pub(crate) fn invalidate<T>(&self, key: &K, change: impl FnOnce() -> T) -> T {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        shard.invalidations += 1;
        let discarded = shard.in_flight.remove(&hash);
        let changed = change();
        drop(shard);
        drop(discarded);
        changed
    }

    /// Discards every flight, then calls `change`.
    pub(crate) fn invalidate_all(&self, change: impl FnOnce()) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.invalidations += 1;
            let discarded = std::mem::take(&mut shard.in_flight);
            drop(shard);
            drop(discarded);
        }
        // A flight that begins now may store its result before the change. That costs only the result.
        change();
    }

    /// Returns the number of invalidations near a key, for [`unless_invalidated`](Self::unless_invalidated).
    pub(crate) fn invalidations(&self, key: &K) -> u64 {
        self.shard(self.hash(key)).invalidations
    }

    /// Calls `store` under the lock for a result that has no flight in the table, unless something in the shard was
    /// invalidated since the number of invalidations was `since`.
    pub(crate) fn unless_invalidated<T>(&self, key: &K, since: u64, store: impl FnOnce() -> T) -> Option<T> {
        let shard = self.shard(self.hash(key));
        (shard.invalidations == since).then(store)
    }

    /// Marks the key as being computed by the current thread, until the guard is dropped.
    pub(crate) fn poll_guard(&self, key: &K) -> PollGuard {
        PollGuard::new(self.hash(key))
    }

    /// Returns a number that identifies a key of this table among the keys of all tables: each has its own hasher.
    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Locks the shard of the key with this hash.
    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K, S, H>> {
        let index = (hash >> 32) % self.shards.len() as u64;
        #[allow(clippy::cast_possible_truncation, reason = "less than the number of shards")]
        lock(&self.shards[index as usize])
    }
}

/// A flight that was begun, and what it replaced in the table.
type Begun<K, S, H> = (Arc<Flight<S, H>>, Option<Entry<K, S, H>>);

impl<K, S, H> Shard<K, S, H> {
    /// Begins a flight, the only one of its key; returns it, and what it replaced.
    fn begin(&mut self, hash: u64, key: &Arc<K>) -> Begun<K, S, H> {
        let flight = Arc::new(Flight::new(self.invalidations));
        let replaced = self.in_flight.insert(hash, Entry::new(Arc::clone(key), &flight));
        (flight, replaced)
    }

    /// Removes a flight of the key with this hash, if it is in the table; returns what left the table.
    fn remove(&mut self, hash: u64, flight: &Arc<Flight<S, H>>) -> Option<Removed<K, S, H>> {
        let entry = self.in_flight.get_mut(&hash)?;
        if let Some(at) = entry.retries.iter().position(|retry| Arc::ptr_eq(retry, flight)) {
            return Some(Removed::Flight(entry.retries.swap_remove(at)));
        }
        if !Arc::ptr_eq(&entry.first, flight) {
            return None;
        }
        match entry.retries.pop() {
            Some(retry) => Some(Removed::Flight(std::mem::replace(&mut entry.first, retry))),
            None => self.in_flight.remove(&hash).map(Removed::Entry),
        }
    }
}

/// What left the table; to be dropped outside of the lock.
#[allow(dead_code, reason = "it is only dropped")]
enum Removed<K, S, H> {
    Flight(Arc<Flight<S, H>>),
    Entry(Entry<K, S, H>),
}

impl<K, S, H> Entry<K, S, H> {
    fn new(key: Arc<K>, flight: &Arc<Flight<S, H>>) -> Self {
        Self { key, first: Arc::clone(flight), retries: Vec::new() }
    }

    fn len(&self) -> usize {
        1 + self.retries.len()
    }

    /// Returns the flight with the fewest followers that a call may join; the first one is current.
    fn least_followed(&self) -> &Arc<Flight<S, H>> {
        self.retries.iter().filter(|retry| retry.is_current()).fold(&self.first, |least, retry| {
            if retry.followers() < least.followers() { retry } else { least }
        })
    }
}
