//! A call on its way to its result, without the types of its key and value.
//!
//! What is in memory is answered at once. For the rest: ask the shared store, if there is one. Join the flight of the
//! key; if it is another's, wait for that one. Else ask for the lease; compute; fill the store; let those who wait go on.
//! Dropping the call at any point hands what it had to whoever waits: the place in the flight, and the lease.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::background::BackgroundPermit;
use super::poll_guard::Entered;
use crate::BoxFuture;
use crate::lookup::{Lookup, Origin, Provenance};
use crate::memory::Fill;
use crate::shared::LeaseAnswer;
use crate::signature::TimeoutOutput;

/// What a call found in memory.
#[derive(Debug)]
pub enum Found<R> {
    /// The value.
    Hit(R),
    /// A value that is the answer though it is time for the next one, which the miss computes.
    Early(R, Miss<R>),
    /// Nothing; the miss knows what to do.
    Miss(Miss<R>),
}

impl<R> Found<R> {
    /// The value, or else what comes of the miss; `body` is made only then, and runs in the caller's task.
    #[inline]
    pub fn or_compute<F: Future<Output = R>>(self, body: impl FnOnce() -> F) -> Answer<R, Computing<R, F>> {
        match self {
            Self::Hit(output) | Self::Early(output, _) => Answer::Hit { output: Some(output) },
            Self::Miss(miss) => Answer::Miss { miss: miss.compute(body()) },
        }
    }
}

/// What a call found, or else what comes of the miss; `body` is made only then, and runs in a task of its own.
///
/// The box has no bounds to repeat: what `F` has to be is asked here and nowhere else, so that it is told once.
#[inline]
pub fn or_compute_detached<L, R, F>(
    looked: L,
    body: impl FnOnce() -> F,
) -> Answer<L::DerivedTags, BoxFuture<'static, L::DerivedTags>>
where
    L: Detach<R>,
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    looked.detach(body)
}

/// What a call found that may go on in a task of its own.
pub trait Detach<R> {
    /// What the caller is told.
    type DerivedTags;
    /// As [`or_compute_detached`].
    fn detach<F>(
        self,
        body: impl FnOnce() -> F,
    ) -> Answer<Self::DerivedTags, BoxFuture<'static, Self::DerivedTags>>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static;
}

impl<R> Detach<R> for Found<R> {
    type DerivedTags = R;

    #[inline]
    fn detach<F>(self, body: impl FnOnce() -> F) -> Answer<R, BoxFuture<'static, R>>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        match self {
            Self::Hit(output) => Answer::Hit { output: Some(output) },
            Self::Early(output, miss) => {
                miss.renew(body);
                Answer::Hit { output: Some(output) }
            }
            Self::Miss(miss) => {
                let detached = miss.detach(body());
                Answer::Miss { miss: Box::pin(async { detached.await.0 }) }
            }
        }
    }
}

pin_project! {
    /// The answer to a call; ready at once if it was a hit.
    #[project = AnswerProjection]
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub enum Answer<R, F> {
        /// What was in memory.
        Hit { output: Option<R> },
        /// What will be.
        Miss { #[pin] miss: F },
    }
}

impl<R, F: Future<Output = R>> Future for Answer<R, F> {
    type Output = R;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        match self.project() {
            AnswerProjection::Hit { output } => output.take().map_or(Poll::Pending, Poll::Ready),
            AnswerProjection::Miss { miss } => miss.poll(cx),
        }
    }
}

/// The same for those who want to know where the value came from.
#[derive(Debug)]
pub enum FoundTraced<R> {
    /// As [`Found::Hit`].
    Hit(Lookup<R>),
    /// As [`Found::Early`].
    Early(Lookup<R>, Miss<R>),
    /// As [`Found::Miss`].
    Miss(Miss<R>),
}

impl<R> FoundTraced<R> {
    /// As [`Found::or`].
    pub fn or_compute<F: Future<Output = R>, B: FnOnce() -> F>(
        self,
        body: B,
    ) -> Answer<Lookup<R>, impl Future<Output = Lookup<R>> + use<R, F, B>> {
        match self {
            Self::Hit(found) | Self::Early(found, _) => Answer::Hit { output: Some(found) },
            Self::Miss(miss) => {
                // Boxed, so that the body is not moved about once more.
                let mut computing = Box::pin(miss.compute(body()));
                Answer::Miss {
                    miss: async move {
                        let output = computing.as_mut().await;
                        computing.as_ref().project_ref().call.provenance().of(output)
                    },
                }
            }
        }
    }
}

impl<R> Detach<R> for FoundTraced<R> {
    type DerivedTags = Lookup<R>;

    fn detach<F>(self, body: impl FnOnce() -> F) -> Answer<Lookup<R>, BoxFuture<'static, Lookup<R>>>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        match self {
            Self::Hit(found) => Answer::Hit { output: Some(found) },
            Self::Early(found, miss) => {
                miss.renew(body);
                Answer::Hit { output: Some(found) }
            }
            Self::Miss(miss) => {
                let detached = miss.detach(body());
                Answer::Miss {
                    miss: Box::pin(async {
                        let (output, provenance) = detached.await;
                        provenance.of(output)
                    }),
                }
            }
        }
    }
}

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
        Computing { call: self.0, stage: Stage::Look, body: Some(body) }
    }

    /// The result: another's, the store's, or that of `body`, which runs in a task of its own until the last call
    /// that waits for it is gone.
    ///
    /// Where there is no tokio runtime to carry the task, it runs in the caller's.
    ///
    /// # Panics
    ///
    /// With the panic of `body`, if it panics.
    async fn detach<F>(mut self, body: F) -> (R, Provenance)
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
        let computing = Computing { call: self.0, stage: Stage::Claim, body: Some(body) };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            let mut computing = Box::pin(computing);
            let output = computing.as_mut().await;
            return (output, computing.as_ref().project_ref().call.provenance());
        };
        let interest = computing.call.interest();
        let alone = interest.is_none();
        let task = runtime.spawn(async move {
            let deserted = computing.call.deserted();
            let mut computing = Box::pin(computing);
            tokio::select! {
                biased;
                output = computing.as_mut() => Some((output, computing.as_ref().project_ref().call.provenance())),
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
    fn renew<F>(mut self, body: impl FnOnce() -> F)
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
            Computing { call: self.0, stage: Stage::Compute(None), body: Some(body) }.await;
        });
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
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Others<R>>;
    /// Takes part in the flight of the key.
    fn join(&mut self) -> Join<R>;
    /// Becomes the call that computes the next value, though there is one; whether it is the only one.
    fn renews(&mut self) -> bool;
    /// Takes note of how waiting ended.
    fn waited(&mut self, waited: Waiting<R>) -> Next<R>;
    /// Asks the shared store, if there is one, for the right to fill the key.
    fn claim(&mut self) -> Option<BoxFuture<'static, LeaseAnswer>>;
    /// Takes note of the answer; whether there is still something to compute.
    fn claimed(&mut self, claimed: LeaseAnswer) -> bool;
    /// Marks the time during which the body is polled.
    fn enter(&self) -> Option<Entered>;
    /// What goes on beside the body; ends when the body has taken too long.
    fn upkeep(&self) -> Option<BoxFuture<'static, TimeoutOutput<R>>>;
    /// Takes the output, or that there was none in time; returns what the caller gets, and what is left to do first.
    fn computed(&mut self, output: Result<R, TimeoutOutput<R>>) -> (R, Option<BoxFuture<'static, Fill>>);
    /// Takes note of what the shared store said to the output.
    fn filled(&mut self, fill: Fill, output: &R);
    /// Where the answer came from.
    fn provenance(&self) -> Provenance;
    /// A caller that waits for this call.
    fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>>;
    /// Returns when no caller waits for this call any more.
    fn deserted(&self) -> BoxFuture<'static, ()>;
}

/// What a call gets from others.
pub(crate) enum Others<R> {
    Answer(R),
    /// An answer, though it is time to compute the next one.
    Early(R),
    Nothing,
}

pub(crate) enum Join<R> {
    Settled(R),
    Wait(BoxFuture<'static, Waiting<R>>),
    Compute,
}

/// How waiting ended, for a caller.
pub(crate) enum Waiting<R> {
    Output(R, Origin),
    TimeoutOutput(TimeoutOutput<R>),
    Failed,
    Outdated,
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
        body: Option<F>,
    }
}

enum Stage<R> {
    Look,
    Join,
    Waiting(BoxFuture<'static, Waiting<R>>),
    Claim,
    Claiming(BoxFuture<'static, LeaseAnswer>),
    Compute(Option<BoxFuture<'static, TimeoutOutput<R>>>),
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
                Stage::Look | Stage::Join | Stage::Waiting(_) => match ready!(poll_others(call, stage, cx)) {
                    Others::Answer(output) | Others::Early(output) => {
                        *stage = Stage::Done;
                        return Poll::Ready(output);
                    }
                    Others::Nothing => Stage::Claim,
                },
                Stage::Claim => match call.claim() {
                    Some(claim) => Stage::Claiming(claim),
                    None => Stage::Compute(None),
                },
                Stage::Claiming(claim) => {
                    let claimed = ready!(claim.as_mut().poll(cx));
                    if call.claimed(claimed) { Stage::Compute(None) } else { Stage::Look }
                }
                Stage::Compute(upkeep) => {
                    let Some(running) = body.as_mut().as_pin_mut() else { return Poll::Pending };
                    let polled = {
                        let _entered = call.enter();
                        running.poll(cx)
                    };
                    let output = match polled {
                        Poll::Ready(output) => Ok(output),
                        Poll::Pending => {
                            // Only a body that takes its time needs looking after.
                            if upkeep.is_none() {
                                *upkeep = call.upkeep();
                            }
                            match upkeep {
                                Some(upkeep) => Err(ready!(upkeep.as_mut().poll(cx))),
                                None => return Poll::Pending,
                            }
                        }
                    };
                    // What it holds is given back before the store is waited for.
                    body.set(None);
                    let (output, fill) = call.computed(output);
                    match fill {
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

/// The part of a call in which others may have the answer; if they have not, this call has to compute.
fn poll_others<R>(call: &mut dyn Call<R>, stage: &mut Stage<R>, cx: &mut Context<'_>) -> Poll<Others<R>> {
    loop {
        *stage = match stage {
            Stage::Look => match ready!(call.look(cx)) {
                Others::Nothing => Stage::Join,
                answer => return Poll::Ready(answer),
            },
            Stage::Join => match call.join() {
                Join::Settled(output) => return Poll::Ready(Others::Answer(output)),
                Join::Wait(wait) => Stage::Waiting(wait),
                Join::Compute => return Poll::Ready(Others::Nothing),
            },
            Stage::Waiting(wait) => {
                let waited = ready!(wait.as_mut().poll(cx));
                match call.waited(waited) {
                    Next::Return(output) => return Poll::Ready(Others::Answer(output)),
                    Next::Look => Stage::Look,
                    Next::Join => Stage::Join,
                }
            }
            Stage::Claim | Stage::Claiming(_) | Stage::Compute(_) | Stage::Filling(..) | Stage::Done => {
                return Poll::Ready(Others::Nothing);
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
