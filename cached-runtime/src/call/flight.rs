//! One flight: a computation of a key, and the followers that wait for its result.

use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::liveness::{Expectation, Liveness};
use crate::memory::TagSnapshot;
use crate::util::aborting::Aborting;
use crate::util::sync::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, watch};
use crate::util::timer;

/// A position in the order in which calls and bodies begin, flights are joined, and fills are sent in this process. Two
/// timestamps could be equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(u64);

impl Sequence {
    /// Returns the next number; the first is 1.
    pub(crate) fn next() -> Self {
        // Not of `crate::util::sync`: the order of these needs no exploration.
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        Self(NEXT.fetch_add(1, std::sync::atomic::Ordering::AcqRel))
    }
}

/// One computation in flight.
///
/// `S` is what followers get, `H` the lease, which the next leader takes over if this one ends without a result or is
/// silent.
#[derive(Debug)]
pub(crate) struct Flight<K, S, H> {
    pub(super) key: K,
    /// Set by the first follower: most flights have none.
    progress: OnceLock<watch::Sender<Progress<S>>>,
    pub(crate) liveness: Liveness,
    /// The hash of its key, which is not computed again: that is user code, and may panic.
    key_hash: u64,
    /// Its number among the flights of its shard, in the order in which they began; 0 before that. It changes under the lock of
    /// the shard.
    number: atomic::AtomicU64,
    /// Whether it has left the table. It changes under the lock of the shard.
    has_ended: AtomicBool,
    /// The [`Sequence`] number at which its result is sent to the store, or [`UNSEALED`]. A call that joins after that may
    /// have begun after an invalidation that the result does not reflect, and has to read again when the flight ends.
    sealed: AtomicU64,
    /// The [`Sequence`] number at which its body began, or 0.
    body_sequence: AtomicU64,
    held: Mutex<Held<H>>,
    /// Whether a computation with a place waits for it. Not of `crate::util::sync`: it needs no exploration.
    is_needed: AtomicBool,
    /// The tags of its value; when one is invalidated, calls no longer join.
    tags: OnceLock<TagSnapshot>,
}

/// What the leader of a flight holds.
#[derive(Debug)]
struct Held<H> {
    /// Boxed, as most flights are of functions without a shared store.
    lease: Option<Box<H>>,
    /// Extends the lease.
    keeper: Option<Aborting<()>>,
    /// Whether the leader has left the lease to a follower.
    is_left: bool,
    /// Whether the lease was taken from the leader, because it was silent.
    is_lost: bool,
}

impl<H> Held<H> {
    fn take(&mut self) -> (Option<Box<H>>, Option<Aborting<()>>) {
        (self.lease.take(), self.keeper.take())
    }
}

/// The value of [`Flight::sealed`] while calls that join get the result.
const UNSEALED: u64 = u64::MAX;

#[derive(Debug)]
enum Progress<S> {
    InFlight,
    /// A result: of this flight, or of another flight of the key that began before.
    Completed {
        shared: Arc<S>,
        /// It is recent enough for calls that began before this.
        called_before: Sequence,
        /// It is recent enough for calls that joined a flight of the key before this: nothing was invalidated during the
        /// computation, by any process.
        joined_before: Sequence,
    },
    /// It ended with an error that is not shared.
    Failed,
    /// Another process has filled the key; followers read it.
    Outdated,
    Abandoned,
}

impl<K, S, H> Flight<K, S, H> {
    pub(super) fn new(key: K, key_hash: u64) -> Self {
        Self {
            key,
            progress: OnceLock::new(),
            liveness: Liveness::new(),
            key_hash,
            number: atomic::AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            sealed: AtomicU64::new(UNSEALED),
            body_sequence: AtomicU64::new(0),
            held: Mutex::new(Held { lease: None, keeper: None, is_left: false, is_lost: false }),
            is_needed: AtomicBool::new(false),
            tags: OnceLock::new(),
        }
    }

    pub(crate) fn key_hash(&self) -> u64 {
        self.key_hash
    }

    /// Gives it its number, as it enters the table.
    pub(super) fn begin(&self, number: u64) {
        self.number.store(number, atomic::Ordering::Relaxed);
    }

    pub(super) fn number(&self) -> u64 {
        self.number.load(atomic::Ordering::Relaxed)
    }

    /// Marks it as having left the table.
    pub(super) fn end(&self) {
        self.has_ended.store(true, atomic::Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(atomic::Ordering::Relaxed)
    }

    /// Marks the calls that join from now on, this flight or another of its key, as late.
    pub(super) fn seal(&self) {
        self.sealed.store(Sequence::next().0, Ordering::Release);
    }

    /// Wakes the followers with a result, and those of `others`, the other flights of the key; calls `shared` only if
    /// there are any.
    ///
    /// A result that is not `confirmed` is for followers that called before the body began.
    pub(crate) fn publish(&self, others: &[Arc<Self>], confirmed: bool, shared: impl FnOnce() -> Option<S>) {
        if self.followers() + followers_of(others) == 0 {
            return;
        }
        let Some(shared) = shared() else {
            self.progress().send_replace(Progress::Failed);
            return;
        };
        let shared = Arc::new(shared);
        let called_before = Sequence(self.body_sequence.load(Ordering::Acquire));
        let joined_before = Sequence(if confirmed { self.sealed.load(Ordering::Acquire) } else { 0 });
        for flight in std::iter::once(self).chain(others.iter().map(|other| &**other)) {
            let shared = Arc::clone(&shared);
            flight.progress().send_replace(Progress::Completed { shared, called_before, joined_before });
        }
    }

    /// Records that the body begins now.
    pub(crate) fn mark_body_begun(&self, now: Instant) {
        self.liveness.record_body(now);
        self.body_sequence.store(Sequence::next().0, Ordering::Release);
    }

    /// Wakes the followers to read again.
    pub(crate) fn mark_outdated(&self) {
        self.progress().send_replace(Progress::Outdated);
    }

    /// Wakes the followers without a result, and leaves them the lease.
    pub(crate) fn abandon(&self) {
        self.leave_lease();
        self.progress().send_replace(Progress::Abandoned);
    }

    /// Wakes the followers without a result, because there is only an error that is not shared, and leaves them the lease.
    pub(crate) fn fail(&self) {
        self.leave_lease();
        self.progress().send_replace(Progress::Failed);
    }

    /// Takes the lease for the leader to hold.
    pub(crate) fn hold(&self, lease: H) {
        let previous = lock(&self.held).lease.replace(Box::new(lease));
        drop(previous);
    }

    /// Takes the task that extends the lease, and aborts it when the lease is taken away.
    pub(super) fn set_keeper(&self, keeper: Aborting<()>) {
        let previous = lock(&self.held).keeper.replace(keeper);
        drop(previous);
    }

    /// Takes the lease away from the leader.
    pub(crate) fn take_lease(&self) -> Option<H> {
        let (lease, keeper) = lock(&self.held).take();
        drop(keeper);
        lease.map(|lease| *lease)
    }

    /// Takes the lease of a leader that has left it, or is silent. The first caller gets it.
    pub(crate) fn take_left_lease(&self) -> Option<H> {
        let is_silent = self.liveness.at(Instant::now()) == Expectation::Silent;
        let mut held = lock(&self.held);
        let (lease, keeper) = if is_silent || held.is_left { held.take() } else { (None, None) };
        held.is_lost |= lease.is_some() && !held.is_left;
        drop(held);
        drop(keeper);
        lease.map(|lease| *lease)
    }

    /// Returns `true` if the lease was taken from the leader, because it was silent.
    pub(crate) fn has_lost_lease(&self) -> bool {
        lock(&self.held).is_lost
    }

    fn leave_lease(&self) {
        let mut held = lock(&self.held);
        held.is_left = true;
        let keeper = held.keeper.take();
        drop(held);
        drop(keeper);
    }

    /// Sets the tags of the value: when one is invalidated, the next call begins another flight.
    pub(crate) fn set_tags(&self, tags: TagSnapshot) {
        // Only its leader sets them, once.
        let _ = self.tags.set(tags);
    }

    /// Returns `true` if no tag was invalidated since the flight began.
    pub(super) fn is_current(&self) -> bool {
        self.tags.get().is_none_or(TagSnapshot::is_current)
    }

    /// Marks it as one that a computation with a place waits for.
    pub(crate) fn mark_needed(&self) {
        self.is_needed.store(true, atomic::Ordering::Release);
    }

    pub(crate) fn is_needed(&self) -> bool {
        self.is_needed.load(atomic::Ordering::Acquire)
    }

    /// Adds a follower.
    pub(crate) fn follow(self: &Arc<Self>) -> Follower<K, S, H> {
        let progress = self.progress().subscribe();
        Follower { progress, joined: Sequence::next(), flight: Arc::clone(self) }
    }

    /// Returns the number of followers.
    pub(super) fn followers(&self) -> usize {
        // It joins under the lock under which the flight leaves the table, so none joins while the flight ends.
        self.progress.get().map_or(0, watch::Sender::receiver_count)
    }

    /// Waits until there are no followers.
    pub(crate) async fn without_followers(&self) {
        self.progress().closed().await;
    }

    fn progress(&self) -> &watch::Sender<Progress<S>> {
        self.progress.get_or_init(|| watch::Sender::new(Progress::InFlight))
    }
}

/// Returns the number of followers of some flights.
pub(super) fn followers_of<K, S, H>(flights: &[Arc<Flight<K, S, H>>]) -> usize {
    flights.iter().map(|flight| flight.followers()).sum()
}

/// A call that waits for the flight of another call.
#[derive(Debug)]
pub(crate) struct Follower<K, S, H> {
    progress: watch::Receiver<Progress<S>>,
    joined: Sequence,
    pub(crate) flight: Arc<Flight<K, S, H>>,
}

/// How a flight ended, for one follower.
#[derive(Debug)]
pub(crate) enum FlightEnd<S> {
    Completed(Arc<S>),
    /// It ended with an error that is not shared.
    Failed,
    /// It ended, but its result may be older than this call, which has to read again.
    Outdated,
    Abandoned,
    /// The leader is silent, or the flight is overdue.
    Stalled,
}

impl<K, S, H> Follower<K, S, H> {
    /// Waits for the flight to end, on behalf of a call that began at `call`, or for it to stall.
    pub(crate) async fn wait(mut self, call: Sequence) -> FlightEnd<S> {
        loop {
            if let Some(end) = self.end(call) {
                return end;
            }
            let Expectation::Until(next_check) = self.flight.liveness.at(Instant::now()) else {
                return FlightEnd::Stalled;
            };
            // The sender is in the flight, which this follower holds, so waiting for a change cannot fail.
            let _ = timer::timeout_at(next_check, self.progress.changed()).await;
        }
    }

    /// Returns how the flight ended, if it has.
    fn end(&mut self, call: Sequence) -> Option<FlightEnd<S>> {
        Some(match &*self.progress.borrow_and_update() {
            Progress::InFlight => return None,
            Progress::Completed { shared, called_before, joined_before } => {
                if call < *called_before || self.joined < *joined_before {
                    FlightEnd::Completed(Arc::clone(shared))
                } else {
                    FlightEnd::Outdated
                }
            }
            Progress::Failed if self.joined.0 >= self.flight.sealed.load(Ordering::Acquire) => {
                FlightEnd::Outdated
            }
            Progress::Failed => FlightEnd::Failed,
            Progress::Outdated => FlightEnd::Outdated,
            Progress::Abandoned => FlightEnd::Abandoned,
        })
    }
}

/// Locks a mutex of this layer. A poisoned one is no problem: every change under these locks is a single call, so a
/// panic leaves none half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
