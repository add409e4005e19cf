//! A call that missed in memory, and the tasks in which it can be computed.

use std::fmt;
use std::future::{Future, poll_fn};

use tokio::runtime::Handle;

use super::detached;
use super::state_machine::{Computing, Stage, poll_available};
use super::steps::{Available, Call};
use crate::lookup::Provenance;
use crate::policy::Scope;

/// A call that found no answer in memory.
///
/// It hides the types of the key and the value; the expansion of a function knows only the return type.
pub struct Miss<R>(Box<dyn Call<R>>);

impl<R> Miss<R> {
    pub(crate) fn new(call: Box<impl Call<R> + 'static>) -> Self {
        Self(call)
    }

    /// Returns the result: that of another call, that in the shared store, or that of `body`, which runs in the
    /// caller's task.
    #[inline]
    pub fn compute<F: Future<Output = R>>(self, body: F) -> Computing<R, F> {
        Computing::new(self.0, Stage::ReadShared, body)
    }

    /// Returns the result: that of another call, that in the shared store, or that of `body`, which runs in a task of
    /// its own.
    ///
    /// Without a tokio runtime, and in a recursive call, `body` runs in the caller's task.
    ///
    /// # Panics
    ///
    /// Resumes the panic of `body`, if it panics.
    ///
    /// # Cancel safety
    ///
    /// `body` goes on when all calls that wait for it are dropped, or is stopped then, as the policy says.
    pub(super) async fn compute_detached<F>(mut self, body: F) -> (R, Provenance)
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let mut stage = Stage::ReadShared;
        match poll_fn(|cx| poll_available(&mut *self.0, &mut stage, cx)).await {
            Available::Answer(output) => return (output, self.0.provenance()),
            Available::AnswerAndRefresh(output) => {
                let provenance = self.0.provenance();
                self.refresh_in_background(|| body);
                return (output, provenance);
            }
            Available::Nothing => {}
        }
        let mut computing = Box::pin(Computing::new(self.0, Stage::AcquireLease, body));
        let caller = computing.caller_guard();
        match Handle::try_current() {
            Ok(runtime) if caller.is_some() => {
                let abandoned = computing.abandoned();
                detached::compute(&runtime, computing, abandoned).await
            }
            _ => {
                drop(caller);
                let output = computing.as_mut().await;
                (output, computing.as_ref().provenance())
            }
        }
    }

    /// Computes the next value in the background, when there is a place for it, unless another call does so already.
    pub(super) fn refresh_in_background<F>(mut self, body: impl FnOnce() -> F)
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let (turn, scope, body) = (self.0.background_turn(), Scope::current(), body());
        turn.submit(move || {
            if !self.0.begin_background_refresh() {
                return None;
            }
            Some(Box::pin(scope.enter(async move {
                if let Some(acquiring) = self.0.acquire_lease()
                    && !self.0.on_lease_answer(acquiring.await)
                {
                    return;
                }
                Computing::new(self.0, Stage::Computing(None), body).await;
            })))
        });
    }
}

impl<R> fmt::Debug for Miss<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miss").finish_non_exhaustive()
    }
}
