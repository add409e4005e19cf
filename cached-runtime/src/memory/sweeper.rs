//! When expired entries are removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::util::{AtomicMoment, Moment};

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Whether a sweeper is at work, and when it will come.
#[derive(Default)]
pub(super) struct Sweeper {
    at_work: AtomicBool,
    /// When it will come, or `Moment::NEVER` while it sweeps.
    due: AtomicMoment,
    sooner: Notify,
}

impl Sweeper {
    /// Whether a sweeper is there; it will come at that moment at the latest.
    pub(super) fn is_told_in_time(&self, expires: Moment) -> bool {
        if !self.at_work.load(Ordering::Acquire) {
            return false;
        }
        if self.due.lower(expires) {
            self.sooner.notify_one();
        }
        true
    }

    /// The right to sweep, if nobody has it.
    pub(super) fn start(&'static self) -> Option<Sweeping> {
        (!self.at_work.swap(true, Ordering::AcqRel)).then(|| Sweeping(self))
    }
}

/// Whoever sweeps; gives the right back also when its runtime ends.
pub(super) struct Sweeping(&'static Sweeper);

impl Sweeping {
    /// Waits until something is to be swept: at that moment, or sooner if something is stored that expires sooner.
    pub(super) async fn until(&mut self, mut due: Moment) {
        self.0.due.lower(due);
        // Many things that expire one after another are swept together.
        tokio::time::sleep(SHORTEST_PAUSE).await;
        loop {
            let told = self.0.sooner.notified();
            due = due.min(self.0.due.get());
            let now = Moment::now();
            if due < now {
                self.0.due.reset();
                return;
            }
            let _ = tokio::time::timeout(due.since(now) + Duration::from_millis(1), told).await;
        }
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.0.due.reset();
        self.0.at_work.store(false, Ordering::Release);
    }
}
