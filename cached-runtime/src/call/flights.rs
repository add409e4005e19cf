//! Single flight: of the calls in this process that miss one key at one time, one computes and the others wait.
//!
//! A flight is in the table from its start until it lands, is abandoned, or is voided by an invalidation. One that
//! was voided may not store its result, and the others do so under the lock of the table's shard. So after `invalidate`
//! has returned, nothing that was computed from before it is stored, and nobody joins it any more.
//!
//! Other processes can invalidate too, and only the store knows. If it has not confirmed a result, those have it who
//! called before the body began: whatever was invalidated before they called, the body has seen.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use quick_cache::DefaultHashBuilder;

use super::flight::{Flight, Follower, lock};
use super::poll_guard::{Entered, is_entered};
use crate::util::sync::{Mutex, MutexGuard};

/// The flights of one function, by key. `S` is what those who wait get, `B` what an abandoned flight leaves to the
/// next one.
#[derive(Debug)]
pub(crate) struct Flights<K, S, B> {
    shards: Box<[Mutex<Shard<K, S, B>>]>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Shard<K, S, B> {
    flying: HashMap<K, Arc<Flight<S, B>>, DefaultHashBuilder>,
    /// How often something here was voided, for calls that compute without a flight.
    invalidations: u64,
}

/// What a call finds when it comes to the table.
#[derive(Debug)]
pub(crate) enum Joined<T, S, B> {
    /// The key was settled meanwhile.
    Settled(T),
    /// This call computes.
    Leads(Arc<Flight<S, B>>),
    /// Another does.
    Follows(Follower<S, B>),
    /// This call was made by the very computation that it would wait for.
    Recurses,
}

impl<K: Hash + Eq + Clone, S, B> Flights<K, S, B> {
    pub(crate) fn new() -> Self {
        Self::in_shards(SHARDS)
    }

    /// The table in so many parts, each with a lock of its own.
    pub(crate) fn in_shards(shards: usize) -> Self {
        let hasher = DefaultHashBuilder::default();
        let shard = || {
            Mutex::new(Shard {
                flying: HashMap::with_hasher(DefaultHashBuilder::default()),
                invalidations: 0,
            })
        };
        Self { shards: (0..shards).map(|_| shard()).collect(), hasher }
    }

    /// Joins the flight of a key or begins one. `settled` looks once more whether that is still necessary.
    pub(crate) fn join<T>(&self, key: &K, settled: impl FnOnce() -> Option<T>) -> Joined<T, S, B> {
        // Also if the computation that made this call was voided meanwhile: it may hold the lease that whoever
        // leads now waits for.
        if is_entered(self.place(key)) {
            return Joined::Recurses;
        }
        let mut shard = self.shard(key);
        if let Some(flight) = shard.flying.get(key).filter(|flight| flight.is_current()) {
            return Joined::Follows(flight.follow());
        }
        if let Some(settled) = settled() {
            return Joined::Settled(settled);
        }
        let flight = Arc::new(Flight::new(shard.invalidations));
        shard.flying.insert(key.clone(), Arc::clone(&flight));
        Joined::Leads(flight)
    }

    /// Begins a flight in place of whatever was under way, and voids that.
    pub(crate) fn supersede(&self, key: &K) -> Arc<Flight<S, B>> {
        let mut shard = self.shard(key);
        shard.invalidations += 1;
        let flight = Arc::new(Flight::new(shard.invalidations));
        shard.flying.insert(key.clone(), Arc::clone(&flight));
        flight
    }

    /// Ends a flight: stores what it has brought, unless it was voided meanwhile.
    ///
    /// Also when it had been withdrawn because nobody waited for it any longer: what it has brought is no older
    /// than what the next one will. Then it must be certain that nothing near it was voided.
    pub(crate) fn land<T>(
        &self,
        key: &K,
        flight: &Arc<Flight<S, B>>,
        store: impl FnOnce(K) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(key);
        match shard.remove(key, flight) {
            Some(key) => Some(store(key)),
            None => (shard.invalidations == flight.invalidations).then(|| store(key.clone())),
        }
    }

    /// Takes a flight out of the table, if it is still there, so that the next call begins another.
    pub(crate) fn withdraw(&self, key: &K, flight: &Arc<Flight<S, B>>) {
        drop(self.shard(key).remove(key, flight));
    }

    /// Draws the line between those who may take the result of a flight and those who come too late for that; whether
    /// there is anybody of the first kind.
    ///
    /// The result is sent to the store after this, so whatever the store says to it holds for all who came before.
    pub(crate) fn seal(&self, key: &K, flight: &Arc<Flight<S, B>>) -> bool {
        let _shard = self.shard(key);
        flight.seal()
    }

    /// Voids the flight of a key and does `change` before any other call comes to the table.
    pub(crate) fn invalidate<T>(&self, key: &K, change: impl FnOnce() -> T) -> T {
        let mut shard = self.shard(key);
        shard.invalidations += 1;
        shard.flying.remove(key);
        change()
    }

    /// Voids every flight, then does `change`.
    pub(crate) fn invalidate_all(&self, change: impl FnOnce()) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.invalidations += 1;
            shard.flying.clear();
        }
        // A flight that began meanwhile may store its result before the change: that only costs the result.
        change();
    }

    /// What `unless_invalidated` wants to know about the time before a computation.
    pub(crate) fn invalidations(&self, key: &K) -> u64 {
        self.shard(key).invalidations
    }

    /// Stores what was computed without a flight, unless something near it was voided since.
    pub(crate) fn unless_invalidated<T>(&self, key: &K, since: u64, store: impl FnOnce() -> T) -> Option<T> {
        let shard = self.shard(key);
        (shard.invalidations == since).then(store)
    }

    /// Makes known that the current thread is computing what is under a key, until the guard is dropped.
    pub(crate) fn enter(&self, key: &K) -> Entered {
        Entered::new(self.place(key))
    }

    /// A key of this table, among all keys of all tables: each table hashes in its own way.
    fn place(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, S, B>> {
        // The upper bits: the map inside the shard uses the lower ones.
        let index = (self.place(key) >> 32) % self.shards.len() as u64;
        #[allow(clippy::cast_possible_truncation, reason = "less than the number of shards")]
        lock(&self.shards[index as usize])
    }
}

const SHARDS: usize = 16;

impl<K: Hash + Eq, S, B> Shard<K, S, B> {
    /// Takes out a flight, if it is this one.
    fn remove(&mut self, key: &K, flight: &Arc<Flight<S, B>>) -> Option<K> {
        self.flying.get(key).filter(|flying| Arc::ptr_eq(flying, flight))?;
        self.flying.remove_entry(key).map(|(key, _)| key)
    }
}
