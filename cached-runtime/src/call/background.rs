//! Computations that nobody waits for.
//!
//! Each is a task of the runtime of the call that asked for it, and ends with that runtime. There is a bound on their
//! number: past it the call is answered all the same, and the next one asks again.

use std::future::Future;

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;

/// How many may run at once in this process.
const MOST: usize = 256;

static ROOM: Semaphore = Semaphore::const_new(MOST);

/// The right to run one of them.
#[derive(Debug)]
pub(crate) struct BackgroundPermit(SemaphorePermit<'static>, tokio::runtime::Handle);

impl BackgroundPermit {
    /// A place, if there is one left, and a runtime.
    pub(crate) fn take() -> Option<Self> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(Self(ROOM.try_acquire().ok()?, runtime))
    }

    /// Runs it, in the span of whoever asks for it. If it panics nobody is harmed.
    pub(crate) fn run(self, computation: impl Future<Output = ()> + Send + 'static) {
        let Self(permit, runtime) = self;
        let computation = async move {
            computation.await;
            drop(permit);
        };
        runtime.spawn(computation.in_current_span());
    }
}
