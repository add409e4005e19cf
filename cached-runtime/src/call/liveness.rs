//! Whether the leader of a flight is alive, for those that wait for it.
//!
//! A leader is alive while it is being polled, however long that takes: its body may keep the thread busy. Between two
//! polls it is alive for [`HEARTBEAT_TIMEOUT`]; a timer in its own future wakes it more often than that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::util::{limits, millis};

/// The interval at which a leader that waits is polled at least.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two polls after which followers replace a leader.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// When the leader of a flight was polled, and for how long the flight has lasted.
///
/// The atomics are not of `util::sync`: the times need no exploration.
#[derive(Debug)]
pub(crate) struct Liveness {
    began_at: Instant,
    /// The number of times that a poll began or ended: odd while the leader is being polled.
    polls: AtomicU64,
    /// The end of the last poll, in milliseconds after `began_at`.
    polled_millis: AtomicU64,
    /// When the body began, in milliseconds after `began_at`.
    body_millis: AtomicU64,
}

/// What a flight may be expected to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// It may end: there is nothing to do before this time.
    Until(Instant),
    /// Its leader was not polled for [`HEARTBEAT_TIMEOUT`].
    Silent,
    /// Its leader is alive, but has computed for longer than the wait budget.
    Overdue,
}

impl Liveness {
    pub(super) fn new() -> Self {
        Self {
            began_at: Instant::now(),
            polls: AtomicU64::new(0),
            polled_millis: AtomicU64::new(0),
            body_millis: AtomicU64::new(0),
        }
    }

    /// Returns when the flight began.
    pub(crate) fn began_at(&self) -> Instant {
        self.began_at
    }

    /// Marks the leader as being polled, until the guard is dropped.
    pub(super) fn enter_poll(&self) -> PollMark<'_> {
        self.polls.fetch_add(1, Ordering::AcqRel);
        PollMark(self)
    }

    /// Records that the leader has just been polled.
    pub(super) fn record_poll(&self) {
        self.polled_millis.store(millis(self.began_at.elapsed()), Ordering::Release);
    }

    /// Records that the body begins: calls wait for the wait budget from now on.
    pub(super) fn record_body(&self, now: Instant) {
        if now == self.began_at {
            return; // It begins with the flight, as at first.
        }
        let now = millis(now.saturating_duration_since(self.began_at));
        self.polled_millis.store(now, Ordering::Release);
        self.body_millis.store(now, Ordering::Release);
    }

    /// Returns what may be expected at a time.
    pub(crate) fn at(&self, now: Instant) -> Expectation {
        let after =
            |millis: &AtomicU64| self.began_at + Duration::from_millis(millis.load(Ordering::Acquire));
        let limit = after(&self.body_millis) + limits::WAIT_BUDGET.time();
        let is_in_poll = self.polls.load(Ordering::Acquire) % 2 == 1;
        let silent_at = if is_in_poll { now } else { after(&self.polled_millis) } + HEARTBEAT_TIMEOUT;
        if now >= silent_at {
            Expectation::Silent
        } else if now >= limit {
            Expectation::Overdue
        } else {
            Expectation::Until(silent_at.min(limit))
        }
    }

    /// Returns `true` if calls no longer wait for this flight alone.
    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        !matches!(self.at(now), Expectation::Until(_))
    }
}

/// Marks a leader as being polled while it lives.
#[derive(Debug)]
pub(crate) struct PollMark<'a>(&'a Liveness);

impl PollMark<'_> {
    /// Ends a poll after which the leader is going to be polled again.
    pub(crate) fn pending(self) {
        self.0.record_poll();
    }
}

impl Drop for PollMark<'_> {
    fn drop(&mut self) {
        self.0.polls.fetch_add(1, Ordering::AcqRel);
    }
}
