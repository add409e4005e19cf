//! A timer that is due before the deadlines of the operations in flight.
//!
//! One thread of a runtime sleeps until the next timer is due. A timer that is due earlier wakes it, by a system call and a
//! context switch, and the deadline of the only operation in flight is always such a timer. So while operations are sent,
//! a timer of half a deadline runs, and none of theirs is the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The timer of one connection. Dropping it ends its task.
pub(super) struct Ticker {
    state: Arc<State>,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    /// Whether an operation was sent since the last tick.
    is_used: AtomicBool,
    used: Notify,
}

/// The shortest time between two ticks: shorter deadlines set timers of their own.
const MIN_PERIOD: Duration = Duration::from_millis(10);

impl Ticker {
    pub(super) fn start(runtime: &Handle, deadline: Duration) -> Self {
        let state = Arc::<State>::default();
        let task = runtime.spawn(tick(Arc::clone(&state), (deadline / 2).max(MIN_PERIOD))).abort_handle();
        Self { state, task }
    }

    /// Keeps the timer running; to be called when an operation is sent.
    pub(super) fn keep(&self) {
        if !self.state.is_used.load(Relaxed) && !self.state.is_used.swap(true, Relaxed) {
            self.state.used.notify_one();
        }
    }
}

/// Ticks while operations are sent; without them, no timer runs.
async fn tick(state: Arc<State>, period: Duration) {
    loop {
        state.used.notified().await;
        sleep(period).await;
        while state.is_used.swap(false, Relaxed) {
            sleep(period).await;
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
