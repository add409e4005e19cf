//! When the task that removes expired entries runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::util::{AtomicMoment, Moment};

/// The state of the task that removes the expired entries of one map: at most one runs.
#[derive(Default)]
pub(super) struct Sweeper {
    is_running: AtomicBool,
    /// When the task wakes at the latest; unset while it removes entries.
    wakes_at: AtomicMoment,
    /// Notified when `wakes_at` was brought forward.
    wakes_earlier: Notify,
}

impl Sweeper {
    /// Makes the running task wake at `expires_at` at the latest; returns `false` if none is running.
    pub(super) fn wake_by(&self, expires_at: Moment) -> bool {
        if !self.is_running.load(Ordering::Acquire) {
            return false;
        }
        if self.wakes_at.bring_forward(expires_at) {
            self.wakes_earlier.notify_one();
        }
        true
    }

    /// Marks the task as running, if it is not running yet.
    pub(super) fn try_start(&'static self) -> Option<SweepGuard> {
        (!self.is_running.swap(true, Ordering::AcqRel)).then(|| SweepGuard(self))
    }
}

/// The right to be the task of a [`Sweeper`]. Dropping it lets another task start, also when the runtime of this one
/// ends.
pub(super) struct SweepGuard(&'static Sweeper);

impl SweepGuard {
    /// Waits until `due`, or less if an entry that expires sooner is stored meanwhile; at least for `pause`.
    pub(super) async fn wait_until(&mut self, mut due: Moment, pause: Duration) {
        self.0.wakes_at.bring_forward(due);
        tokio::time::sleep(pause).await;
        loop {
            let wakes_earlier = self.0.wakes_earlier.notified();
            due = due.min(self.0.wakes_at.get());
            let now = Moment::now();
            if due < now {
                self.0.wakes_at.reset();
                return;
            }
            let _ = tokio::time::timeout(due.since(now) + Duration::from_millis(1), wakes_earlier).await;
        }
    }
}

impl Drop for SweepGuard {
    fn drop(&mut self) {
        self.0.wakes_at.reset();
        self.0.is_running.store(false, Ordering::Release);
    }
}
