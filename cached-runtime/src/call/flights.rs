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
    /// The flights of each key, never none: one, or up to [`MAX_RETRIES`].
    in_flight: HashMap<K, KeyFlights<S, H>, DefaultHashBuilder>,
    /// The number of invalidations in this shard, for computations that are not in the table.
    invalidations: u64,
}

/// The flights of one key: the first, and those of retries beside it.
#[derive(Debug)]
struct KeyFlights<S, H> {
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
    /// This call was made by the very computation that it would wait for.
    Recursive,
}

/// The number of computations of a key that run at a time after some have failed without an error for their followers.
pub(crate) const MAX_RETRIES: usize = 4;

/// The number of shards of a table.
const SHARDS: usize = 16;

impl<K: Hash + Eq + Clone, S, H> Flights<K, S, H> {
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
        key: &K,
        attempt: Attempt,
        cached: impl FnOnce() -> Option<T>,
    ) -> Joined<T, S, H> {
        // This holds even if the computation that made this call was discarded in the meantime: that computation may
        // hold the lease that the current leader waits for.
        if is_polling(self.hash(key)) {
            return Joined::Recursive;
        }
        let mut shard = self.shard(key);
        let current = shard.in_flight.get(key).filter(|flights| flights.first.is_current());
        if let Some(flights) = current
            && (attempt == Attempt::Alone || flights.len() >= MAX_RETRIES)
        {
            return Joined::Follower(flights.least_followed().follow());
        }
        let is_current = current.is_some();
        if let Some(cached) = cached() {
            return Joined::Cached(cached);
        }
        let flight = Arc::new(Flight::new(shard.invalidations));
        match shard.in_flight.get_mut(key) {
            Some(flights) if is_current => flights.retries.push(Arc::clone(&flight)),
            _ => {
                let replaced = shard.begin(key, &flight);
                drop(shard);
                drop(replaced);
            }
        }
        Joined::Leader(flight)
    }

    /// Returns `true` if this is the only flight of the key.
    pub(crate) fn is_alone(&self, key: &K, flight: &Arc<Flight<S, H>>) -> bool {
        let shard = self.shard(key);
        shard
            .in_flight
            .get(key)
            .is_none_or(|flights| flights.len() == 1 && Arc::ptr_eq(&flights.first, flight))
    }

    /// Begins a flight, and discards the one that is in flight.
    pub(crate) fn supersede(&self, key: &K) -> Arc<Flight<S, H>> {
        let mut shard = self.shard(key);
        shard.invalidations += 1;
        let flight = Arc::new(Flight::new(shard.invalidations));
        let replaced = shard.begin(key, &flight);
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
        store: impl FnOnce(K) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(key);
        match shard.remove(key, flight) {
            Some(key) => Some(store(key)),
            None => (shard.invalidations == flight.invalidations).then(|| store(key.clone())),
        }
    }

    /// Removes a flight from the table, if it is still there, so that the next call begins another.
    pub(crate) fn withdraw(&self, key: &K, flight: &Arc<Flight<S, H>>) {
        drop(self.shard(key).remove(key, flight));
    }

    /// Seals a flight: calls that join later may be newer than its result. Returns `true` if it has followers already.
    ///
    /// The result is sent to the store after this, so the answer of the store holds for all followers that joined
    /// before.
    pub(crate) fn seal(&self, key: &K, flight: &Arc<Flight<S, H>>) -> bool {
        let _shard = self.shard(key);
        flight.seal()
    }

    /// Discards the flight of a key, and calls `change` before another call can join.
    pub(crate) fn invalidate<T>(&self, key: &K, change: impl FnOnce() -> T) -> T {
        let mut shard = self.shard(key);
        shard.invalidations += 1;
        shard.in_flight.remove(key);
        change()
    }

    /// Discards every flight, then calls `change`.
    pub(crate) fn invalidate_all(&self, change: impl FnOnce()) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.invalidations += 1;
            shard.in_flight.clear();
        }
        // A flight that begins now may store its result before the change. That costs only the result.
        change();
    }

    /// Returns the number of invalidations near a key, for [`unless_invalidated`](Self::unless_invalidated).
    pub(crate) fn invalidations(&self, key: &K) -> u64 {
        self.shard(key).invalidations
    }

    /// Calls `store` under the lock for a result that has no flight in the table, unless something in the shard was
    /// invalidated since the number of invalidations was `since`.
    pub(crate) fn unless_invalidated<T>(&self, key: &K, since: u64, store: impl FnOnce() -> T) -> Option<T> {
        let shard = self.shard(key);
        (shard.invalidations == since).then(store)
    }

    /// Marks the key as being computed by the current thread, until the guard is dropped.
    pub(crate) fn poll_guard(&self, key: &K) -> PollGuard {
        PollGuard::new(self.hash(key))
    }

    /// Returns a number that identifies a key of this table among the keys of all tables: each has its own hasher.
    fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, S, H>> {
        // The upper bits, because the map inside the shard uses the lower ones.
        let index = (self.hash(key) >> 32) % self.shards.len() as u64;
        #[allow(clippy::cast_possible_truncation, reason = "less than the number of shards")]
        lock(&self.shards[index as usize])
    }
}

impl<K: Hash + Eq + Clone, S, H> Shard<K, S, H> {
    /// Makes a flight the only one of its key; returns those that were.
    #[must_use]
    fn begin(&mut self, key: &K, flight: &Arc<Flight<S, H>>) -> Option<KeyFlights<S, H>> {
        let flights = KeyFlights { first: Arc::clone(flight), retries: Vec::new() };
        self.in_flight.insert(key.clone(), flights)
    }

    /// Removes a flight of a key, if it is in the table, and returns the key.
    fn remove(&mut self, key: &K, flight: &Arc<Flight<S, H>>) -> Option<K> {
        let flights = self.in_flight.get_mut(key)?;
        if let Some(at) = flights.retries.iter().position(|retry| Arc::ptr_eq(retry, flight)) {
            flights.retries.swap_remove(at);
            return Some(key.clone());
        }
        if !Arc::ptr_eq(&flights.first, flight) {
            return None;
        }
        match flights.retries.pop() {
            Some(retry) => {
                flights.first = retry;
                Some(key.clone())
            }
            None => self.in_flight.remove_entry(key).map(|(key, _)| key),
        }
    }
}

impl<S, H> KeyFlights<S, H> {
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
