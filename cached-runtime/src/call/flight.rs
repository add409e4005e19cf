//! One flight and its followers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::memory::TagSnapshot;
use crate::util::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, watch};

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

impl<S, B> Flight<S, B> {
    pub(super) fn new(invalidations: u64) -> Self {
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

    /// Makes those who join from now on late; whether anybody has joined before.
    pub(super) fn seal(&self) -> bool {
        self.sealed.store(true, Ordering::Release);
        self.progress.receiver_count() > 0
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

    pub(super) fn is_current(&self) -> bool {
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

/// A panic while it was held leaves nothing half done: every change under these locks is one call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
