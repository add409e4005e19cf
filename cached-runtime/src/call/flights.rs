//! Single flight: of the concurrent calls in this process that miss one key, one computes and the others wait.
//!
//! The single-flight pattern is that of Go's `golang.org/x/sync/singleflight`; here a flight can also be discarded. A
//! flight is in the table from its start to its end, and open until then: calls join it. An invalidation closes the
//! flights of its key, and outdates them: their results are not stored. Any other result is stored under the lock of the
//! shard. So when `invalidate` has returned, no result of an earlier computation is stored, and no call joins one.
//!
//! A refresh closes the flights of its key when it begins, and outdates the others when it has a value, which may be newer
//! than what they have read. Of two refreshes at a time the second to end is outdated, and removes the value of the first;
//! one that fails changes nothing for the other.
//!
//! If the leader of a flight is silent, or takes too long, one of its followers begins another flight of the key beside
//! it, and the rest follow that one. The first of the two that has a result wakes the followers of both.
//!
//! Other processes can invalidate too, and only the store knows of it. A result that the store did not confirm is
//! returned only to followers that called before the body began: the body has seen every invalidation that they know
//! of.
//!
//! No user code runs under the locks. A flight is found by the hash of its key; the key is compared, cloned and dropped
//! outside of them, and so is everything that a flight holds. A flight is created before the lock is taken under which it
//! begins.
//!
//! A failure that cannot be shared leaves its followers without an answer. They try again: one of them, and if that fails
//! as well, up to [`MAX_FLIGHTS`] at a time, each with a flight of its own. The others follow one of these flights.

use std::collections::hash_map::{self, HashMap, OccupiedEntry};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use quick_cache::DefaultHashBuilder;
use tokio::time::Instant;

use super::flight::{Flight, Follower, followers_of, lock};
use super::poll_guard::{PollGuard, TableId, is_polling, is_polling_of};
use super::wait_graph::FlightId;
use crate::util::BuildIsHash;
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
    computing: HashMap<u64, Entry<K, S, H>, BuildIsHash>,
    /// The number of flights that have begun.
    begun: u64,
}

/// The flights of one key that have not ended, never none.
#[derive(Debug)]
struct Entry<K, S, H> {
    /// How many there are, open or not.
    running: usize,
    /// The flights with lower numbers are outdated: since they began, the key was invalidated, or a refresh had a value.
    outdated_before: u64,
    open: Option<Open<K, S, H>>,
}

/// The open flights of a key, never none: the first, and those that began beside it, in that order.
#[derive(Debug)]
struct Open<K, S, H> {
    first: Arc<Flight<K, S, H>>,
    others: Vec<Arc<Flight<K, S, H>>>,
}

/// How a call may compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// If no other call computes, or only such as are silent or take too long.
    Alone,
    /// Beside others, up to [`MAX_FLIGHTS`] of them together.
    BesideOthers,
}

/// Which open flights of a key are closed when one of them ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Only that one: it has nothing for the followers of the others.
    One,
    /// All: its result is for all followers.
    All,
}

/// What the end of a flight makes of the other flights of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outdates {
    /// Nothing: their results are as good.
    None,
    /// All are closed and outdated: a refresh has a value, and may have read what they have missed.
    All,
}

/// The outcome of joining the flight of a key.
#[derive(Debug)]
pub(crate) enum Joined<T, K, S, H> {
    /// The key was cached in the meantime.
    Cached(T),
    /// This call computes.
    Leader(Arc<Flight<K, S, H>>),
    /// Another call computes.
    Follower(Follower<K, S, H>),
    /// This call was made by the very computation that it would wait for, or another key with the same hash is in flight.
    Recursive,
}

/// The number of open flights of a key, which follow failures that are not shared, or stalled flights.
pub(crate) const MAX_FLIGHTS: usize = 4;

/// The number of shards of a table.
const SHARDS: usize = 16;

impl<K: Hash + Eq + Clone, S, H> Flights<K, S, H> {
    pub(crate) fn new() -> Self {
        Self::with_shards(SHARDS)
    }

    /// Creates a table with a number of shards; each has its own lock.
    pub(crate) fn with_shards(shards: usize) -> Self {
        let hasher = DefaultHashBuilder::default();
        let shard =
            || Mutex::new(Shard { computing: HashMap::with_hasher(BuildIsHash::default()), begun: 0 });
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
    ) -> Joined<T, K, S, H> {
        let hash = self.hash(key);
        // This holds even if the computation that made this call was discarded in the meantime: that computation may
        // hold the lease that the current leader waits for.
        if is_polling(hash) {
            return Joined::Recursive;
        }
        let flight = Arc::new(Flight::new(key.clone(), hash));
        let now = flight.liveness.began_at();
        // The open flight whose key was compared with `key`, outside of the lock.
        let mut equal: Option<Arc<Flight<K, S, H>>> = None;
        loop {
            let mut shard = self.shard(hash);
            let open = shard.open(hash).filter(|open| open.first.is_current());
            let is_free = open.is_none();
            if let Some(open) = open {
                let flying = Arc::clone(&open.first);
                if !open.has_place(attempt, now) {
                    let follower = open.to_follow(now).follow();
                    drop(shard);
                    return if flying.key == *key { Joined::Follower(follower) } else { Joined::Recursive };
                }
                if !equal.as_ref().is_some_and(|equal| Arc::ptr_eq(equal, &flying)) {
                    drop(shard);
                    if flying.key != *key {
                        return Joined::Recursive;
                    }
                    equal = Some(flying);
                    continue;
                }
            }
            if let Some(cached) = cached() {
                drop(shard);
                return Joined::Cached(cached);
            }
            let closed = if is_free { shard.begin(&flight) } else { shard.begin_beside(&flight) };
            drop(shard);
            drop(closed);
            return Joined::Leader(flight);
        }
    }

    /// Returns `true` if no other flight of the key is open.
    pub(crate) fn is_alone(&self, flight: &Arc<Flight<K, S, H>>) -> bool {
        let shard = self.shard(flight.key_hash());
        let open = shard.open(flight.key_hash());
        open.is_none_or(|open| open.len() == 1 && Arc::ptr_eq(&open.first, flight))
    }

    /// Begins a flight, and closes those that are open.
    pub(crate) fn supersede(&self, key: &K) -> Arc<Flight<K, S, H>> {
        let flight = self.new_flight(key);
        let closed = self.shard(flight.key_hash()).begin(&flight);
        drop(closed);
        flight
    }

    /// Begins a flight that no call joins.
    pub(crate) fn begin_independent(&self, key: &K) -> Arc<Flight<K, S, H>> {
        let flight = self.new_flight(key);
        self.shard(flight.key_hash()).begin_closed(&flight);
        flight
    }

    fn new_flight(&self, key: &K) -> Arc<Flight<K, S, H>> {
        Arc::new(Flight::new(key.clone(), self.hash(key)))
    }

    /// Ends a flight, and calls `store` under the lock, with whether the result may be stored: the flight is not outdated.
    /// Returns what `store` returned, and the other flights that were closed.
    pub(crate) fn complete<T>(
        &self,
        flight: &Arc<Flight<K, S, H>>,
        ends: Ends,
        outdates: Outdates,
        store: impl FnOnce(bool) -> T,
    ) -> (T, Others<K, S, H>) {
        let hash = flight.key_hash();
        let mut shard = self.shard(hash);
        let entry = shard.entry_of(flight);
        let stored = store(entry.as_ref().is_some_and(|entry| entry.get().is_current(flight)));
        let closed = entry.and_then(|entry| remove(entry, flight, ends));
        let discarded = if outdates == Outdates::All { shard.outdate(hash) } else { None };
        drop(shard);
        drop(discarded);
        (stored, Closed::others(closed, flight))
    }

    /// Ends a flight, if it has not ended yet, without a result to store. Returns the other flights that were closed.
    pub(crate) fn withdraw(&self, flight: &Arc<Flight<K, S, H>>, ends: Ends) -> Others<K, S, H> {
        let closed =
            self.shard(flight.key_hash()).entry_of(flight).and_then(|entry| remove(entry, flight, ends));
        Closed::others(closed, flight)
    }

    /// Seals a flight: calls that join later may be newer than its result. Returns `true` if it has followers already, or
    /// another open flight of the key has.
    ///
    /// The result is sent to the store after this, so the answer of the store holds for all followers that joined
    /// before.
    pub(crate) fn seal(&self, flight: &Arc<Flight<K, S, H>>) -> bool {
        let shard = self.shard(flight.key_hash());
        flight.seal();
        match shard.open(flight.key_hash()).filter(|open| open.contains(flight)) {
            Some(open) => open.followers() > 0,
            None => flight.followers() > 0,
        }
    }

    /// Closes and outdates the flights of a key, and calls `change` before another call can join.
    pub(crate) fn invalidate<T>(&self, key: &K, change: impl FnOnce() -> T) -> T {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        let outdated = shard.outdate(hash);
        let changed = change();
        drop(shard);
        drop(outdated);
        changed
    }

    /// Closes and outdates every flight, then calls `change`.
    pub(crate) fn invalidate_all(&self, change: impl FnOnce()) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let next = shard.begun + 1;
            let close = |entry: &mut Entry<K, S, H>| {
                entry.outdated_before = next;
                entry.open.take()
            };
            let closed: Vec<_> = shard.computing.values_mut().filter_map(close).collect();
            drop(shard);
            drop(closed);
        }
        // A flight that begins now may store its result before the change. That costs only the result.
        change();
    }

    /// Calls `change` under the lock, unless a flight is outdated.
    pub(crate) fn unless_outdated(&self, flight: &Flight<K, S, H>, change: impl FnOnce()) {
        let shard = self.shard(flight.key_hash());
        if shard.is_current(flight) {
            change();
        }
    }

    /// Marks the key as being computed by the current thread, and its flight as being polled, until the guard is dropped.
    pub(crate) fn poll_guard<'a>(&self, flight: &'a Arc<Flight<K, S, H>>) -> PollGuard<'a> {
        PollGuard::new(flight.key_hash(), FlightId::of(flight), self.id(), flight.liveness.enter_poll())
    }

    /// Returns `true` if the current thread is polling a computation of this table: that of any of its keys.
    pub(crate) fn is_polling_any(&self) -> bool {
        is_polling_of(self.id())
    }

    fn id(&self) -> TableId {
        TableId(std::ptr::from_ref(self).addr())
    }

    /// Returns the number of keys that are being computed.
    pub(crate) fn keys(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).computing.len()).sum()
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

impl<K, S, H> Shard<K, S, H> {
    fn open(&self, hash: u64) -> Option<&Open<K, S, H>> {
        self.computing.get(&hash)?.open.as_ref()
    }

    /// Begins a flight that is not open; returns the entry of its key.
    fn begin_closed(&mut self, flight: &Flight<K, S, H>) -> &mut Entry<K, S, H> {
        self.begun += 1;
        flight.begin(self.begun);
        let empty = Entry { running: 0, outdated_before: 0, open: None };
        let entry = self.computing.entry(flight.key_hash()).or_insert(empty);
        entry.running += 1;
        entry
    }

    /// Begins a flight, the only open one of its key; returns what was closed.
    fn begin(&mut self, flight: &Arc<Flight<K, S, H>>) -> Option<Closed<K, S, H>> {
        let open = Open { first: Arc::clone(flight), others: Vec::new() };
        self.begin_closed(flight).open.replace(open).map(Closed::All)
    }

    /// Begins a flight beside the open ones of its key; returns the oldest of these if it was closed, because there were too
    /// many.
    fn begin_beside(&mut self, flight: &Arc<Flight<K, S, H>>) -> Option<Closed<K, S, H>> {
        let entry = self.begin_closed(flight);
        let Some(open) = &mut entry.open else {
            entry.open = Some(Open { first: Arc::clone(flight), others: Vec::new() });
            return None;
        };
        open.others.push(Arc::clone(flight));
        (open.len() > MAX_FLIGHTS).then(|| {
            let next = open.others.remove(0);
            Closed::One(std::mem::replace(&mut open.first, next))
        })
    }

    /// Returns `true` if a flight that has not ended is not outdated.
    fn is_current(&self, flight: &Flight<K, S, H>) -> bool {
        !flight.has_ended()
            && self.computing.get(&flight.key_hash()).is_some_and(|entry| entry.is_current(flight))
    }

    /// Outdates the flights of a key that have begun, and closes them; returns those that were open.
    fn outdate(&mut self, hash: u64) -> Option<Open<K, S, H>> {
        let entry = self.computing.get_mut(&hash)?;
        entry.outdated_before = self.begun + 1;
        entry.open.take()
    }

    /// Returns the entry of the key of a flight, if that has not ended yet.
    fn entry_of(&mut self, flight: &Flight<K, S, H>) -> Option<OccupiedEntry<'_, u64, Entry<K, S, H>>> {
        if flight.has_ended() {
            return None;
        }
        match self.computing.entry(flight.key_hash()) {
            hash_map::Entry::Occupied(entry) => Some(entry),
            hash_map::Entry::Vacant(_) => None,
        }
    }
}

/// Ends a flight, and removes it from the entry of its key; returns what was closed.
fn remove<K, S, H>(
    mut entry: OccupiedEntry<'_, u64, Entry<K, S, H>>,
    flight: &Arc<Flight<K, S, H>>,
    ends: Ends,
) -> Option<Closed<K, S, H>> {
    flight.end();
    let closed = entry.get_mut().close(flight, ends);
    entry.get_mut().running -= 1;
    if entry.get().running == 0 {
        entry.remove();
    }
    closed
}

impl<K, S, H> Entry<K, S, H> {
    fn is_current(&self, flight: &Flight<K, S, H>) -> bool {
        flight.number() >= self.outdated_before
    }

    /// Closes a flight, if it is open, and the others if they end with it.
    fn close(&mut self, flight: &Arc<Flight<K, S, H>>, ends: Ends) -> Option<Closed<K, S, H>> {
        let open = self.open.as_mut().filter(|open| open.contains(flight))?;
        if ends == Ends::All || open.others.is_empty() {
            return self.open.take().map(Closed::All);
        }
        let at = open.others.iter().position(|other| Arc::ptr_eq(other, flight));
        let closed = open.others.remove(at.unwrap_or(0));
        Some(Closed::One(match at {
            Some(_) => closed,
            None => std::mem::replace(&mut open.first, closed),
        }))
    }
}

/// What was closed; to be dropped outside of the lock.
enum Closed<K, S, H> {
    #[allow(dead_code, reason = "it is only dropped")]
    One(Arc<Flight<K, S, H>>),
    All(Open<K, S, H>),
}

/// The flights that were closed with another one.
pub(crate) type Others<K, S, H> = Vec<Arc<Flight<K, S, H>>>;

impl<K, S, H> Closed<K, S, H> {
    /// Returns the flights that were closed with `flight`.
    fn others(closed: Option<Self>, flight: &Arc<Flight<K, S, H>>) -> Others<K, S, H> {
        let Some(Self::All(Open { first, mut others, .. })) = closed else { return Vec::new() };
        if let Some(place) = others.iter_mut().find(|other| Arc::ptr_eq(other, flight)) {
            *place = first;
        }
        others
    }
}

impl<K, S, H> Open<K, S, H> {
    fn flights(&self) -> impl Iterator<Item = &Arc<Flight<K, S, H>>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn len(&self) -> usize {
        1 + self.others.len()
    }

    fn contains(&self, flight: &Arc<Flight<K, S, H>>) -> bool {
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
    fn to_follow(&self, now: Instant) -> &Arc<Flight<K, S, H>> {
        let is_usable =
            |flight: &&Arc<Flight<K, S, H>>| flight.is_current() && !flight.liveness.is_stalled(now);
        self.flights().filter(is_usable).min_by_key(|flight| flight.followers()).unwrap_or(&self.first)
    }
}
