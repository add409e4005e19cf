//! One flight: a computation of a key, and the followers that wait for its result.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::memory::TagSnapshot;
use crate::util::millis;
use crate::util::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, watch};

/// The interval between two heartbeats of a leader.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// The time without a heartbeat after which followers replace a leader.
pub(crate) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest time that a follower waits for one flight, even if its leader sends heartbeats.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(30);

/// A position in the order in which calls and bodies begin in this process. Two timestamps could be equal.
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
/// `S` is what followers get, `H` what an abandoned flight hands over to the next leader.
#[derive(Debug)]
pub(crate) struct Flight<S, H> {
    progress: watch::Sender<Progress<S>>,
    started_at: Instant,
    /// The number of invalidations in the shard of its key when it began.
    pub(crate) invalidations: u64,
    /// Whether its result is being stored. A call that joins from now on may have begun after an invalidation that the
    /// result does not reflect, and has to read again when the flight ends.
    sealed: AtomicBool,
    /// The [`Sequence`] number at which its body began, or 0.
    body_sequence: AtomicU64,
    /// The time of the last heartbeat of its leader, in milliseconds after the start.
    heartbeat_millis: AtomicU64,
    handoff: Mutex<Option<H>>,
    /// The tags of its value; when one is invalidated, calls no longer join.
    tags: OnceLock<TagSnapshot>,
}

#[derive(Debug)]
enum Progress<S> {
    InFlight,
    Completed {
        shared: Arc<S>,
        /// Whether nothing was invalidated during the computation, by any process.
        confirmed: bool,
    },
    /// It ended with an error that is not shared.
    Failed,
    /// Another process has filled the key; followers read it.
    Outdated,
    Abandoned,
}

impl<S, H> Flight<S, H> {
    pub(super) fn new(invalidations: u64) -> Self {
        Self {
            progress: watch::Sender::new(Progress::InFlight),
            started_at: Instant::now(),
            invalidations,
            sealed: AtomicBool::new(false),
            body_sequence: AtomicU64::new(0),
            heartbeat_millis: AtomicU64::new(0),
            handoff: Mutex::new(None),
            tags: OnceLock::new(),
        }
    }

    /// Marks the calls that join from now on as late; returns `true` if it has followers already.
    pub(super) fn seal(&self) -> bool {
        self.sealed.store(true, Ordering::Release);
        self.progress.receiver_count() > 0
    }

    /// Wakes the followers with a result; calls `shared` only if there are any.
    ///
    /// A result that is not `confirmed` is for followers that called before the body began.
    pub(crate) fn publish(&self, confirmed: bool, shared: impl FnOnce() -> Option<S>) {
        if self.progress.receiver_count() == 0 {
            return;
        }
        let completed = |shared| Progress::Completed { shared: Arc::new(shared), confirmed };
        self.progress.send_replace(shared().map_or(Progress::Failed, completed));
    }

    /// Records that the body begins now.
    pub(crate) fn mark_body_begun(&self) {
        self.body_sequence.store(Sequence::next().0, Ordering::Release);
    }

    /// Wakes the followers to read again.
    pub(crate) fn mark_outdated(&self) {
        self.progress.send_replace(Progress::Outdated);
    }

    /// Wakes the followers without a result, and leaves them what the leader held.
    pub(crate) fn abandon(&self, handoff: Option<H>) {
        let previous = std::mem::replace(&mut *lock(&self.handoff), handoff);
        drop(previous);
        self.progress.send_replace(Progress::Abandoned);
    }

    /// Wakes the followers without a result, because there is only an error that is not shared, and leaves them what the
    /// leader held.
    pub(crate) fn fail(&self, handoff: Option<H>) {
        *lock(&self.handoff) = handoff;
        self.progress.send_replace(Progress::Failed);
    }

    /// Takes what an abandoned or a failed flight hands over. The first caller gets it.
    pub(crate) fn take_handoff(&self) -> Option<H> {
        lock(&self.handoff).take()
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

    /// Records that the leader is alive.
    pub(crate) fn record_heartbeat(&self) {
        self.heartbeat_millis.store(millis(self.started_at.elapsed()), Ordering::Relaxed);
    }

    fn last_heartbeat(&self) -> Instant {
        self.started_at + Duration::from_millis(self.heartbeat_millis.load(Ordering::Relaxed))
    }

    /// Adds a follower.
    pub(crate) fn follow(self: &Arc<Self>) -> Follower<S, H> {
        let is_late = self.sealed.load(Ordering::Acquire);
        Follower { progress: self.progress.subscribe(), is_late, flight: Arc::clone(self) }
    }

    /// Returns the number of followers.
    pub(super) fn followers(&self) -> usize {
        self.progress.receiver_count()
    }

    /// Waits until there are no followers.
    pub(crate) async fn without_followers(&self) {
        self.progress.closed().await;
    }
}

/// A call that waits for the flight of another call.
#[derive(Debug)]
pub(crate) struct Follower<S, H> {
    progress: watch::Receiver<Progress<S>>,
    /// Whether it joined after the flight was sealed.
    is_late: bool,
    pub(crate) flight: Arc<Flight<S, H>>,
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
    /// The leader sent no heartbeat for [`HEARTBEAT_TIMEOUT`], or the flight took longer than [`MAX_WAIT`].
    TimedOut,
}

impl<S, H> Follower<S, H> {
    /// Waits for the flight to end, on behalf of a call that began at `call`.
    ///
    /// Outside of a tokio runtime there are no timers, so there the wait is not bounded.
    pub(crate) async fn wait(mut self, call: Sequence) -> FlightEnd<S> {
        let has_timers = tokio::runtime::Handle::try_current().is_ok();
        loop {
            match &*self.progress.borrow_and_update() {
                Progress::Completed { shared, confirmed } => {
                    let called_before_body = call.0 < self.flight.body_sequence.load(Ordering::Acquire);
                    let is_recent = called_before_body || (*confirmed && !self.is_late);
                    return if is_recent {
                        FlightEnd::Completed(Arc::clone(shared))
                    } else {
                        FlightEnd::Outdated
                    };
                }
                Progress::Failed if self.is_late => return FlightEnd::Outdated,
                Progress::Failed => return FlightEnd::Failed,
                Progress::Outdated => return FlightEnd::Outdated,
                Progress::Abandoned => return FlightEnd::Abandoned,
                Progress::InFlight => {}
            }
            // The sender is in the flight, which this follower holds, so waiting for a change cannot fail.
            let changed = self.progress.changed();
            if !has_timers {
                let _ = changed.await;
                continue;
            }
            let limit = self.flight.started_at + MAX_WAIT;
            let next_check = (self.flight.last_heartbeat() + HEARTBEAT_TIMEOUT).min(limit);
            if tokio::time::timeout_at(next_check, changed).await.is_err() {
                let now = Instant::now();
                if now >= limit || now >= self.flight.last_heartbeat() + HEARTBEAT_TIMEOUT {
                    return FlightEnd::TimedOut;
                }
            }
        }
    }
}

/// Locks a mutex of this layer. A poisoned one is no problem: every change under these locks is a single call, so a
/// panic leaves none half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
