//! Single flight: of the calls in this process that miss one key at one time, one computes and the others wait.
//!
//! A flight is in the table from its start until it lands, is abandoned, or is voided by an invalidation. One that
//! was voided may not store its result, and the others do so under the lock of the table's shard. So after `invalidate`
//! has returned, nothing that was computed from before it is stored, and nobody joins it any more.
//!
//! Other processes can invalidate too, and only the store knows. If it has not confirmed a result, those have it who
//! called before the body began: whatever was invalidated before they called, the body has seen.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quick_cache::DefaultHashBuilder;
use tokio::time::Instant;

use crate::memory::TagSnapshot;
use crate::util::sync::{
    AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, thread_local, watch,
};

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

/// When something began, in the order of all that begins in this process. A clock would have two at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) fn take() -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Self(NEXT.fetch_add(1, std::sync::atomic::Ordering::AcqRel))
    }
}

/// One computation under way.
#[derive(Debug)]
pub(crate) struct Flight<S, B> {
    progress: watch::Sender<Progress<S>>,
    started: Instant,
    /// How often something near its key had been voided when it began.
    pub(crate) invalidations: u64,
    /// Whether its result is on its way: who joins now may have come after an invalidation that the result does not
    /// know of, and must look again when it has landed.
    sealed: AtomicBool,
    /// The turn at which its body began, or 0.
    body: AtomicU64,
    /// When its leader was last seen alive, in milliseconds after the start.
    heartbeat: AtomicU64,
    handoff: Mutex<Option<B>>,
    /// The tags of what it computes, if their end is reason enough not to wait for it.
    tagged: OnceLock<TagSnapshot>,
}

#[derive(Debug)]
enum Progress<S> {
    Flying,
    Landed {
        shared: Arc<S>,
        /// Whether nothing was invalidated while it was computed, by whichever process.
        confirmed: bool,
    },
    /// It ended without anything that could be shared.
    Failed,
    /// Another process has brought what those who wait may look for.
    Outdated,
    Abandoned,
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

/// A call that waits for another one.
#[derive(Debug)]
pub(crate) struct Follower<S, B> {
    progress: watch::Receiver<Progress<S>>,
    is_late: bool,
    pub(crate) flight: Arc<Flight<S, B>>,
}

/// How waiting ended.
#[derive(Debug)]
pub(crate) enum Waited<S> {
    Landed(Arc<S>),
    Failed,
    /// It ended, but what it brought may be older than this call, which must look again.
    Outdated,
    Abandoned,
    /// The leader has not been seen for too long, or takes longer than anybody should wait.
    TooLong,
}

/// A leader that lives is seen this often.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// A leader that was not seen for so long is replaced.
pub(crate) const STALLED: Duration = Duration::from_secs(3);
/// Nobody waits longer for one flight, however alive its leader is.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
        flight.sealed.store(true, Ordering::Release);
        flight.progress.receiver_count() > 0
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
        let place = self.place(key);
        ENTERED.with(|entered| entered.borrow_mut().push(place));
        Entered(place)
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

impl<S, B> Flight<S, B> {
    fn new(invalidations: u64) -> Self {
        Self {
            progress: watch::Sender::new(Progress::Flying),
            started: Instant::now(),
            invalidations,
            sealed: AtomicBool::new(false),
            body: AtomicU64::new(0),
            heartbeat: AtomicU64::new(0),
            handoff: Mutex::new(None),
            tagged: OnceLock::new(),
        }
    }

    /// Lets those who wait go on; `shared` is asked only if there are any. What is not `confirmed` is for those who came
    /// before the body began.
    pub(crate) fn publish(&self, confirmed: bool, shared: impl FnOnce() -> Option<S>) {
        if self.progress.receiver_count() == 0 {
            return;
        }
        let landed = |shared| Progress::Landed { shared: Arc::new(shared), confirmed };
        self.progress.send_replace(shared().map_or(Progress::Failed, landed));
    }

    /// Says that the body begins now.
    pub(crate) fn body_begins(&self) {
        self.body.store(Sequence::take().0, Ordering::Release);
    }

    /// Lets those who wait look again.
    pub(crate) fn mark_outdated(&self) {
        self.progress.send_replace(Progress::Outdated);
    }

    /// Lets those who wait know that nothing will come, and leaves them what the leader had.
    pub(crate) fn abandon(&self, handoff: Option<B>) {
        *lock(&self.handoff) = handoff;
        self.progress.send_replace(Progress::Abandoned);
    }

    /// What an abandoned flight has left, for the first one who asks.
    pub(crate) fn take_handoff(&self) -> Option<B> {
        lock(&self.handoff).take()
    }

    /// Makes known which tags it has: when one ends, whoever comes begins another flight.
    pub(crate) fn ends_with(&self, tagged: TagSnapshot) {
        // It is told once, by its leader.
        let _ = self.tagged.set(tagged);
    }

    fn is_current(&self) -> bool {
        self.tagged.get().is_none_or(TagSnapshot::is_current)
    }

    /// Says that the leader is alive.
    pub(crate) fn beat(&self) {
        self.heartbeat.store(crate::util::millis(self.started.elapsed()), Ordering::Relaxed);
    }

    /// Returns when nobody waits for this flight any more.
    pub(crate) async fn deserted(&self) {
        self.progress.closed().await;
    }

    /// Another one who waits.
    pub(crate) fn follow(self: &Arc<Self>) -> Follower<S, B> {
        let is_late = self.sealed.load(Ordering::Acquire);
        Follower { progress: self.progress.subscribe(), is_late, flight: Arc::clone(self) }
    }

    fn last_pulse(&self) -> Instant {
        self.started + Duration::from_millis(self.heartbeat.load(Ordering::Relaxed))
    }
}

impl<S, B> Follower<S, B> {
    /// Waits for the flight to end, for a bounded time; for a call that began at this turn.
    ///
    /// Outside of a tokio runtime there are no timers: there the time is not bounded.
    pub(crate) async fn wait(mut self, turn: Sequence) -> Waited<S> {
        let timers = tokio::runtime::Handle::try_current().is_ok();
        loop {
            match &*self.progress.borrow_and_update() {
                Progress::Landed { shared, confirmed } => {
                    let came_before = turn.0 < self.flight.body.load(Ordering::Acquire);
                    let is_good = came_before || (*confirmed && !self.is_late);
                    return if is_good { Waited::Landed(Arc::clone(shared)) } else { Waited::Outdated };
                }
                Progress::Failed if self.is_late => return Waited::Outdated,
                Progress::Failed => return Waited::Failed,
                Progress::Outdated => return Waited::Outdated,
                Progress::Abandoned => return Waited::Abandoned,
                Progress::Flying => {}
            }
            // The sender lives in the flight, which this follower holds: a change can not fail.
            let changed = self.progress.changed();
            if !timers {
                let _ = changed.await;
                continue;
            }
            let limit = self.flight.started + LONGEST_WAIT;
            let next_look = (self.flight.last_pulse() + STALLED).min(limit);
            if tokio::time::timeout_at(next_look, changed).await.is_err() {
                let now = Instant::now();
                if now >= limit || now >= self.flight.last_pulse() + STALLED {
                    return Waited::TooLong;
                }
            }
        }
    }
}

thread_local! {
    /// The places whose computations are being polled by this thread, innermost last. Two with one number would only
    /// mean that one does not wait for the other.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// The time during which a computation is being polled.
#[derive(Debug)]
pub(crate) struct Entered(u64);

impl Drop for Entered {
    fn drop(&mut self) {
        // Not `with`: at the end of a thread the list may be gone before a future that it drops.
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            if let Some(last) = entered.iter().rposition(|place| *place == self.0) {
                entered.remove(last);
            }
        });
    }
}

fn is_entered(place: u64) -> bool {
    ENTERED.with(|entered| entered.borrow().contains(&place))
}

/// A panic while it was held leaves nothing half done: every change under these locks is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
