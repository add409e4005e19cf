//! Single flight: of the concurrent calls in this process that miss one key, one computes and the others wait.
//!
//! The single-flight pattern is that of Go's `golang.org/x/sync/singleflight`; here a flight can also be discarded. A
//! flight is in the table from its start until it is completed, abandoned, or discarded by an invalidation. The result
//! of a discarded flight is not stored; any other result is stored under the lock of the shard. So when `invalidate`
//! has returned, no result of an earlier computation is stored, and no call joins one.
//!
//! If the leader of a flight is silent, or takes too long, one of its followers begins another flight of the key beside
//! it, and the rest follow that one. The first of the two that has a result wakes the followers of both.
//!
//! Other processes can invalidate too, and only the store knows of it. A result that the store did not confirm is
//! returned only to followers that called before the body began: the body has seen every invalidation that they know
//! of.
//!
//! No user code runs under the locks. A flight is found by the hash of its key; the key is compared, cloned and dropped
//! outside of them, and so is everything that a flight holds.
//!
//! A failure that cannot be shared leaves its followers without an answer. They try again: one of them, and if that fails
//! as well, up to [`MAX_FLIGHTS`] at a time, each with a flight of its own. The others follow one of these flights.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use quick_cache::DefaultHashBuilder;
use tokio::time::Instant;

use super::flight::{Flight, Follower, followers_of, lock};
use super::poll_guard::{PollGuard, TableId, is_polling, is_polling_of};
use super::wait_graph::FlightId;
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

/// The flights of one key in the table, never none: the first, and those that began beside it, in that order.
#[derive(Debug)]
struct Entry<K, S, H> {
    key: Arc<K>,
    first: Arc<Flight<S, H>>,
    others: Vec<Arc<Flight<S, H>>>,
}

/// How a call may compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// If no other call computes, or only such as are silent or take too long.
    Alone,
    /// Beside others, up to [`MAX_FLIGHTS`] of them together.
    BesideOthers,
}

/// Which flights of a key end with one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Only that one: it has nothing for the followers of the others.
    One,
    /// All: its result is for all followers.
    All,
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

/// The number of flights of a key in the table, which follow failures that are not shared, or stalled flights.
pub(crate) const MAX_FLIGHTS: usize = 4;

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
            let (flying, now) = (Arc::clone(&entry.key), Instant::now());
            if !entry.has_place(attempt, now) {
                let follower = entry.to_follow(now).follow();
                drop(shard);
                return if *flying == **key { Joined::Follower(follower) } else { Joined::Recursive };
            }
            if equal.as_ref().is_some_and(|equal| Arc::ptr_eq(equal, &flying)) {
                if let Some(cached) = cached() {
                    return Joined::Cached(cached);
                }
                let (flight, replaced) = shard.begin_beside(hash, key);
                drop(shard);
                drop(replaced);
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

    /// Ends a flight and calls `store` under the lock, unless the flight was discarded. Returns what `store` returned, and
    /// the other flights that end.
    ///
    /// The result of a flight that left the table, because another one with a result ended, is stored too. But that
    /// requires that nothing in the shard was invalidated since it began, because the table no longer shows whether its
    /// own key was.
    pub(crate) fn complete<T>(
        &self,
        key: &K,
        flight: &Arc<Flight<S, H>>,
        ends: Ends,
        store: impl FnOnce() -> T,
    ) -> (Option<T>, Others<S, H>) {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        let removed = shard.remove(hash, flight, ends);
        let is_valid = removed.is_some() || shard.invalidations == flight.invalidations;
        let stored = is_valid.then(store);
        drop(shard);
        (stored, Removed::others(removed, flight))
    }

    /// Removes a flight from the table, if it is still there, so that the next call begins another. Returns the other
    /// flights that end.
    pub(crate) fn withdraw(&self, key: &K, flight: &Arc<Flight<S, H>>, ends: Ends) -> Others<S, H> {
        let hash = self.hash(key);
        let removed = self.shard(hash).remove(hash, flight, ends);
        Removed::others(removed, flight)
    }

    /// Seals a flight: calls that join later may be newer than its result. Returns `true` if it has followers already, or
    /// another flight of the key has.
    ///
    /// The result is sent to the store after this, so the answer of the store holds for all followers that joined
    /// before.
    pub(crate) fn seal(&self, key: &K, flight: &Arc<Flight<S, H>>) -> bool {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        flight.seal();
        match shard.in_flight.get(&hash).filter(|entry| entry.contains(flight)) {
            Some(entry) => entry.followers() > 0,
            None => flight.followers() > 0,
        }
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

    /// Begins a flight that no call joins; its result is stored by [`unless_invalidated`](Self::unless_invalidated).
    pub(crate) fn begin_independent(&self, key: &K) -> Arc<Flight<S, H>> {
        Arc::new(Flight::new(self.shard(self.hash(key)).invalidations))
    }

    /// Calls `store` under the lock for a result that has no flight in the table, unless something in the shard was
    /// invalidated since the number of invalidations was `since`.
    pub(crate) fn unless_invalidated<T>(&self, key: &K, since: u64, store: impl FnOnce() -> T) -> Option<T> {
        let shard = self.shard(self.hash(key));
        (shard.invalidations == since).then(store)
    }

    /// Marks the key as being computed by the current thread, and its flight as being polled, until the guard is dropped.
    pub(crate) fn poll_guard<'a>(&self, key: &K, flight: &'a Arc<Flight<S, H>>) -> PollGuard<'a> {
        PollGuard::new(self.hash(key), FlightId::of(flight), self.id(), flight.liveness.enter_poll())
    }

    /// Returns `true` if the current thread is polling a computation of this table: that of any of its keys.
    pub(crate) fn is_polling_any(&self) -> bool {
        is_polling_of(self.id())
    }

    fn id(&self) -> TableId {
        TableId(std::ptr::from_ref(self).addr())
    }

    /// Returns the number of keys in the table.
    pub(crate) fn keys(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).in_flight.len()).sum()
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
type Begun<K, S, H> = (Arc<Flight<S, H>>, Option<Removed<K, S, H>>);

impl<K, S, H> Shard<K, S, H> {
    /// Begins a flight, the only one of its key; returns it, and what it replaced.
    fn begin(&mut self, hash: u64, key: &Arc<K>) -> Begun<K, S, H> {
        let flight = Arc::new(Flight::new(self.invalidations));
        let replaced = self.in_flight.insert(hash, Entry::new(Arc::clone(key), &flight));
        (flight, replaced.map(Removed::Entry))
    }

    /// Begins a flight beside those of the key, which are in the table; returns it, and the oldest one if there were too
    /// many.
    fn begin_beside(&mut self, hash: u64, key: &Arc<K>) -> Begun<K, S, H> {
        let flight = Arc::new(Flight::new(self.invalidations));
        let Some(entry) = self.in_flight.get_mut(&hash) else {
            self.in_flight.insert(hash, Entry::new(Arc::clone(key), &flight));
            return (flight, None);
        };
        entry.others.push(Arc::clone(&flight));
        let oldest = (entry.len() > MAX_FLIGHTS).then(|| {
            let next = entry.others.remove(0);
            Removed::Flight(std::mem::replace(&mut entry.first, next))
        });
        (flight, oldest)
    }

    /// Removes a flight of the key with this hash, if it is in the table, and the others if they end with it; returns what
    /// left the table.
    fn remove(&mut self, hash: u64, flight: &Arc<Flight<S, H>>, ends: Ends) -> Option<Removed<K, S, H>> {
        let entry = self.in_flight.get_mut(&hash).filter(|entry| entry.contains(flight))?;
        if ends == Ends::All || entry.others.is_empty() {
            return self.in_flight.remove(&hash).map(Removed::Entry);
        }
        let at = entry.others.iter().position(|other| Arc::ptr_eq(other, flight));
        let removed = entry.others.remove(at.unwrap_or(0));
        Some(Removed::Flight(match at {
            Some(_) => removed,
            None => std::mem::replace(&mut entry.first, removed),
        }))
    }
}

/// What left the table; to be dropped outside of the lock.
enum Removed<K, S, H> {
    #[allow(dead_code, reason = "it is only dropped")]
    Flight(Arc<Flight<S, H>>),
    Entry(Entry<K, S, H>),
}

/// The flights that ended with another one.
pub(crate) type Others<S, H> = Vec<Arc<Flight<S, H>>>;

impl<K, S, H> Removed<K, S, H> {
    /// Returns the flights that ended with `flight`.
    fn others(removed: Option<Self>, flight: &Arc<Flight<S, H>>) -> Others<S, H> {
        let Some(Self::Entry(Entry { first, mut others, .. })) = removed else { return Vec::new() };
        if let Some(place) = others.iter_mut().find(|other| Arc::ptr_eq(other, flight)) {
            *place = first;
        }
        others
    }
}

impl<K, S, H> Entry<K, S, H> {
    fn new(key: Arc<K>, flight: &Arc<Flight<S, H>>) -> Self {
        Self { key, first: Arc::clone(flight), others: Vec::new() }
    }

    fn flights(&self) -> impl Iterator<Item = &Arc<Flight<S, H>>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn len(&self) -> usize {
        1 + self.others.len()
    }

    fn contains(&self, flight: &Arc<Flight<S, H>>) -> bool {
        self.flights().any(|own| Arc::ptr_eq(own, flight))
    }

    fn followers(&self) -> usize {
        self.first.followers() + followers_of(&self.others)
    }

    /// Returns `true` if a call may begin a flight beside these.
    fn has_place(&self, attempt: Attempt, now: Instant) -> bool {
        (attempt == Attempt::BesideOthers && self.len() < MAX_FLIGHTS)
            || self.flights().all(|flight| flight.liveness.is_stalled(now))
    }

    /// Returns the flight that a call may join: of those that are current and not stalled, the one with the fewest
    /// followers.
    fn to_follow(&self, now: Instant) -> &Arc<Flight<S, H>> {
        let is_usable = |flight: &&Arc<Flight<S, H>>| flight.is_current() && !flight.liveness.is_stalled(now);
        self.flights().filter(is_usable).min_by_key(|flight| flight.followers()).unwrap_or(&self.first)
    }
}
