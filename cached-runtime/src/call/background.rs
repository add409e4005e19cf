//! The tasks that compute in the background, without a caller that waits.
//!
//! A task runs in the tokio runtime of the call that starts it, and ends with that runtime. The number of tasks in the
//! process is bounded. A call that finds the bound reached is answered without starting one; a later call for the key
//! tries again.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;

/// The maximum number of background tasks in this process.
const MAX_TASKS: usize = 256;

static PERMITS: Semaphore = Semaphore::const_new(MAX_TASKS);

/// The right to run one background task.
#[derive(Debug)]
pub(crate) struct BackgroundPermit {
    permit: SemaphorePermit<'static>,
    runtime: Handle,
}

impl BackgroundPermit {
    /// Returns a permit, or `None` if all are taken or there is no tokio runtime here.
    pub(crate) fn try_acquire() -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        Some(Self { permit: PERMITS.try_acquire().ok()?, runtime })
    }

    /// Spawns the computation, in the current tracing span. A panic ends only the task.
    pub(crate) fn spawn(self, computation: impl Future<Output = ()> + Send + 'static) {
        let Self { permit, runtime } = self;
        let computation = async move {
            computation.await;
            drop(permit);
        };
        runtime.spawn(computation.in_current_span());
    }
}
