//! The task of a computation whose callers may leave.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::state_machine::Computing;
use crate::BoxFuture;
use crate::lookup::Provenance;
use crate::policy::Scope;
use crate::util::limits;

/// The number of computations of this process that go on without callers.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

/// The right to go on without callers, while it lives.
#[derive(Debug)]
pub(super) struct AbandonedPlace(());

impl AbandonedPlace {
    /// Returns `None` if as many computations have one as may.
    pub(super) fn take() -> Option<Self> {
        let free = |taken| (taken < limits::ABANDONED_COMPUTATIONS.number()).then_some(taken + 1);
        ABANDONED.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok().map(|_| Self(()))
    }
}

impl Drop for AbandonedPlace {
    fn drop(&mut self) {
        ABANDONED.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Returns the output of a computation that runs in a task, until it ends or `abandoned` does.
///
/// If the runtime of the task shuts down, this caller goes on with the computation.
///
/// # Panics
///
/// Resumes the panic of the computation.
pub(super) async fn compute<R, F>(
    runtime: &Handle,
    computing: Pin<Box<Computing<R, F>>>,
    abandoned: BoxFuture<'static, ()>,
) -> (R, Provenance)
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let unfinished = Unfinished::default();
    let mut run = Run { computing: Some(computing), unfinished: Arc::clone(&unfinished) };
    let running = async move {
        tokio::select! {
            biased;
            answer = run.answer() => Some(answer),
            () = abandoned => None,
        }
    };
    let task = runtime.spawn(Scope::current().enter(running).in_current_span());
    match task.await {
        Ok(Some(answer)) => return answer,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Ok(None) | Err(_) => {}
    }
    let left = unfinished.lock().unwrap_or_else(PoisonError::into_inner).take();
    match left {
        Some(mut computing) => {
            let output = computing.as_mut().await;
            (output, computing.as_ref().provenance())
        }
        // A task that was stopped has left its computation, and one without callers has none to answer.
        None => std::future::pending().await,
    }
}

/// Where a task leaves its computation when it is stopped.
type Unfinished<R, F> = Arc<Mutex<Option<Pin<Box<Computing<R, F>>>>>>;

/// A computation in a task. If it is dropped before its end, it leaves the computation to its caller.
struct Run<R, F> {
    /// `None` while it is polled, so that a computation that panics is not polled again, and at its end.
    computing: Option<Pin<Box<Computing<R, F>>>>,
    unfinished: Unfinished<R, F>,
}

impl<R, F: Future<Output = R>> Run<R, F> {
    async fn answer(&mut self) -> (R, Provenance) {
        poll_fn(|cx| {
            let Some(mut computing) = self.computing.take() else { return Poll::Pending };
            match computing.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready((output, computing.as_ref().provenance())),
                Poll::Pending => {
                    self.computing = Some(computing);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<R, F> Drop for Run<R, F> {
    fn drop(&mut self) {
        if let Some(computing) = self.computing.take() {
            *self.unfinished.lock().unwrap_or_else(PoisonError::into_inner) = Some(computing);
        }
    }
}
