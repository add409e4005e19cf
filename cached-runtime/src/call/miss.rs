//! A miss, and the tasks that compute it.

use std::fmt;
use std::future::{Future, poll_fn};

use super::background::BackgroundPermit;
use super::machine::{Computing, Stage, poll_others};
use super::steps::{Call, Others};
use crate::lookup::Provenance;

/// A call that found no answer in memory.
///
/// Behind it are the types of the key and the value; a function's own code knows only what it returns.
pub struct Miss<R>(Box<dyn Call<R>>);

impl<R> Miss<R> {
    pub(crate) fn new(call: impl Call<R> + 'static) -> Self {
        Self(Box::new(call))
    }

    /// The result: another's, the store's, or that of `body`, which runs in the caller's task.
    #[inline]
    pub fn compute<F: Future<Output = R>>(self, body: F) -> Computing<R, F> {
        Computing::new(self.0, Stage::Look, body)
    }

    /// The result: another's, the store's, or that of `body`, which runs in a task of its own until the last call
    /// that waits for it is gone.
    ///
    /// Where there is no tokio runtime to carry the task, it runs in the caller's.
    ///
    /// # Panics
    ///
    /// With the panic of `body`, if it panics.
    pub(super) async fn detach<F>(mut self, body: F) -> (R, Provenance)
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let mut stage = Stage::Look;
        match poll_fn(|cx| poll_others(&mut *self.0, &mut stage, cx)).await {
            Others::Answer(output) => return (output, self.0.provenance()),
            Others::Early(output) => {
                let provenance = self.0.provenance();
                self.renew(|| body);
                return (output, provenance);
            }
            Others::Nothing => {}
        }
        let computing = Computing::new(self.0, Stage::Claim, body);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            let mut computing = Box::pin(computing);
            let output = computing.as_mut().await;
            return (output, computing.as_ref().provenance());
        };
        let interest = computing.interest();
        let alone = interest.is_none();
        let task = runtime.spawn(async move {
            let deserted = computing.deserted();
            let mut computing = Box::pin(computing);
            tokio::select! {
                biased;
                output = computing.as_mut() => Some((output, computing.as_ref().provenance())),
                () = deserted => None,
            }
        });
        let _stop = alone.then(|| AbortOnDrop(task.abort_handle()));
        let ended = task.await;
        drop(interest);
        match ended {
            Ok(Some(answer)) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime of this very task is shutting down: nobody will poll it again.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Computes the next value in the background, unless somebody is at it.
    pub(super) fn renew<F>(mut self, body: impl FnOnce() -> F)
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let Some(place) = BackgroundPermit::take() else { return };
        if !self.0.renews() {
            return;
        }
        let body = body();
        place.run(async move {
            if let Some(claim) = self.0.claim()
                && !self.0.claimed(claim.await)
            {
                return;
            }
            Computing::new(self.0, Stage::Compute(None), body).await;
        });
    }
}

impl<R> fmt::Debug for Miss<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miss").finish_non_exhaustive()
    }
}

/// Stops a task that nobody else waits for.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
