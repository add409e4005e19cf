//! One call that missed in memory, on its way to a result.
//!
//! Ask the shared store, if there is one. Join the flight of the key; if it is another's, wait for that one. Else ask
//! for the lease; compute; fill the store; let those who wait go on. Dropping the call at any point hands what it
//! had to whoever waits: the place in the flight, and the lease.
//!
//! A call in a shared store looks for itself before it joins, and takes what another has computed only if the store
//! has accepted it: then no invalidation, by whatever process, has come between.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::BoxFuture;
use crate::flight::Entered;
use crate::tier::{Acquiring, Fill, Vacant};

/// A call that found nothing in memory.
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
        Computing { call: self.0, stage: Stage::Look, body }
    }

    /// The result: another's, the store's, or that of `body`, which runs in a task of its own until the last call
    /// that waits for it is gone.
    ///
    /// Where there is no tokio runtime to carry the task, it runs in the caller's.
    ///
    /// # Panics
    ///
    /// With the panic of `body`, if it panics.
    pub async fn detach<F>(mut self, body: F) -> R
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let mut stage = Stage::Look;
        if let Some(output) = poll_fn(|cx| poll_others(&mut *self.0, &mut stage, cx)).await {
            return output;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Computing { call: self.0, stage: Stage::Claim, body }.await;
        };
        let interest = self.0.interest();
        let alone = interest.is_none();
        let task = runtime.spawn(async move {
            let deserted = self.0.deserted();
            let computing = Computing { call: self.0, stage: Stage::Claim, body };
            tokio::select! {
                biased;
                output = computing => Some(output),
                () = deserted => None,
            }
        });
        let _stop = alone.then(|| AbortOnDrop(task.abort_handle()));
        let ended = task.await;
        drop(interest);
        match ended {
            Ok(Some(output)) => output,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime of this very task is shutting down: nobody will poll it again.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

impl<R> fmt::Debug for Miss<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Miss").finish_non_exhaustive()
    }
}

/// The steps of a call, without the types of its key and value.
pub(crate) trait Call<R>: Send {
    /// Looks into the shared store, if there is one and its answer matters.
    fn look(&self) -> Option<BoxFuture<'static, Found<R>>>;
    /// Takes note of what was found there; `None`: go on.
    fn found(&mut self, found: Found<R>) -> Option<R>;
    /// Takes part in the flight of the key.
    fn join(&mut self) -> Join<R>;
    /// Takes note of how waiting ended.
    fn waited(&mut self, waited: Waiting<R>) -> Next<R>;
    /// Asks the shared store, if there is one, for the right to fill the key.
    fn claim(&mut self) -> Option<BoxFuture<'static, Acquiring>>;
    /// Takes note of the answer; whether there is still something to compute.
    fn claimed(&mut self, claimed: Acquiring) -> bool;
    /// Marks the time during which the body is polled.
    fn enter(&self) -> Option<Entered>;
    /// What goes on beside the body; never ends.
    fn upkeep(&self) -> Option<BoxFuture<'static, ()>>;
    /// Takes note of the output; `None`: nothing is left to do.
    fn computed(&mut self, output: &R) -> Option<BoxFuture<'static, Fill>>;
    /// Takes note of what the shared store said to the output.
    fn filled(&mut self, fill: Fill, output: &R);
    /// A caller that waits for this call.
    fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>>;
    /// Returns when no caller waits for this call any more.
    fn deserted(&self) -> BoxFuture<'static, ()>;
}

/// What was found in the shared store.
pub(crate) struct Found<R> {
    pub(crate) output: Option<R>,
    pub(crate) vacant: Option<Vacant>,
}

pub(crate) enum Join<R> {
    Settled(R),
    Wait(BoxFuture<'static, Waiting<R>>),
    Compute,
}

/// How waiting ended, for a caller.
pub(crate) enum Waiting<R> {
    Output(R),
    Failed,
    Outdated,
    Late,
    Abandoned,
    TooLong,
}

pub(crate) enum Next<R> {
    Return(R),
    Look,
    Join,
}

pin_project! {
    /// A call on its way to a result; the body is stored in it once.
    #[must_use = "futures do nothing unless polled"]
    pub struct Computing<R, F> {
        call: Box<dyn Call<R>>,
        stage: Stage<R>,
        #[pin]
        body: F,
    }
}

enum Stage<R> {
    Look,
    Looking(BoxFuture<'static, Found<R>>),
    Join,
    Waiting(BoxFuture<'static, Waiting<R>>),
    Claim,
    Claiming(BoxFuture<'static, Acquiring>),
    Compute(Option<BoxFuture<'static, ()>>),
    Filling(BoxFuture<'static, Fill>, Option<R>),
    Done,
}

impl<R, F: Future<Output = R>> Future for Computing<R, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let (call, stage, mut body) = (&mut **this.call, this.stage, this.body);
        loop {
            *stage = match stage {
                Stage::Look | Stage::Looking(_) | Stage::Join | Stage::Waiting(_) => {
                    match ready!(poll_others(call, stage, cx)) {
                        Some(output) => return Poll::Ready(output),
                        None => Stage::Claim,
                    }
                }
                Stage::Claim => match call.claim() {
                    Some(claim) => Stage::Claiming(claim),
                    None => Stage::Compute(None),
                },
                Stage::Claiming(claim) => {
                    let claimed = ready!(claim.as_mut().poll(cx));
                    if call.claimed(claimed) { Stage::Compute(None) } else { Stage::Look }
                }
                Stage::Compute(upkeep) => {
                    let polled = {
                        let _entered = call.enter();
                        body.as_mut().poll(cx)
                    };
                    let Poll::Ready(output) = polled else {
                        // Only a body that takes its time needs looking after.
                        if upkeep.is_none() {
                            *upkeep = call.upkeep();
                        }
                        if let Some(upkeep) = upkeep {
                            let _ = upkeep.as_mut().poll(cx); // It never ends.
                        }
                        return Poll::Pending;
                    };
                    match call.computed(&output) {
                        Some(fill) => Stage::Filling(fill, Some(output)),
                        None => {
                            *stage = Stage::Done;
                            return Poll::Ready(output);
                        }
                    }
                }
                Stage::Filling(fill, output) => {
                    let fill = ready!(fill.as_mut().poll(cx));
                    let output = output.take();
                    *stage = Stage::Done;
                    let Some(output) = output else { return Poll::Pending };
                    call.filled(fill, &output);
                    return Poll::Ready(output);
                }
                Stage::Done => return Poll::Pending,
            };
        }
    }
}

/// The part of a call in which others may have the answer; `None`: this call has to compute.
fn poll_others<R>(call: &mut dyn Call<R>, stage: &mut Stage<R>, cx: &mut Context<'_>) -> Poll<Option<R>> {
    loop {
        *stage = match stage {
            Stage::Look => match call.look() {
                Some(look) => Stage::Looking(look),
                None => Stage::Join,
            },
            Stage::Looking(look) => {
                let found = ready!(look.as_mut().poll(cx));
                match call.found(found) {
                    Some(output) => return Poll::Ready(Some(output)),
                    None => Stage::Join,
                }
            }
            Stage::Join => match call.join() {
                Join::Settled(output) => return Poll::Ready(Some(output)),
                Join::Wait(wait) => Stage::Waiting(wait),
                Join::Compute => return Poll::Ready(None),
            },
            Stage::Waiting(wait) => {
                let waited = ready!(wait.as_mut().poll(cx));
                match call.waited(waited) {
                    Next::Return(output) => return Poll::Ready(Some(output)),
                    Next::Look => Stage::Look,
                    Next::Join => Stage::Join,
                }
            }
            Stage::Claim | Stage::Claiming(_) | Stage::Compute(_) | Stage::Filling(..) | Stage::Done => {
                return Poll::Ready(None);
            }
        };
    }
}

impl<R, F> fmt::Debug for Computing<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computing").finish_non_exhaustive()
    }
}

/// Stops a task that nobody else waits for.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
