//! What a call found in memory, and the future that turns it into an answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::miss::Miss;
use super::state_machine::Computing;
use crate::BoxFuture;
use crate::lookup::Lookup;

/// What a call found in memory.
#[derive(Debug)]
pub enum Found<R> {
    /// The answer.
    Hit(R),
    /// The answer, and a miss that computes the next value: the answer is stale or due for a refresh.
    HitAndRefresh(R, Miss<R>),
    /// No answer.
    Miss(Miss<R>),
}

impl<R> Found<R> {
    /// Returns the answer, or computes it with the future that `body` creates, in the caller's task.
    ///
    /// `body` is called only for a miss. The next value of a [`HitAndRefresh`](Self::HitAndRefresh) is not computed: the
    /// future may borrow from the caller, so it cannot run in the background.
    #[inline]
    pub fn or_compute<F: Future<Output = R>>(self, body: impl FnOnce() -> F) -> Answer<R, Computing<R, F>> {
        match self {
            Self::Hit(output) | Self::HitAndRefresh(output, _) => Answer::Hit { output: Some(output) },
            Self::Miss(miss) => Answer::Miss { miss: miss.compute(body()) },
        }
    }
}

/// Returns the answer, or computes it with the future that `body` creates, in a task of its own.
///
/// `body` is called only for a miss or for a refresh in the background.
///
/// The bounds on `F` are required here and nowhere else, so the compiler reports a missing one once. The box of the
/// result does not repeat them.
#[inline]
pub fn or_compute_detached<D, R, F>(
    found: D,
    body: impl FnOnce() -> F,
) -> Answer<D::Output, BoxFuture<'static, D::Output>>
where
    D: Detach<R>,
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    found.detach(body)
}

/// What a call found, if a computation may go on in a task of its own.
pub trait Detach<R> {
    /// What the caller gets.
    type Output;
    /// As [`or_compute_detached`].
    fn detach<F>(self, body: impl FnOnce() -> F) -> Answer<Self::Output, BoxFuture<'static, Self::Output>>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static;
}

impl<R> Detach<R> for Found<R> {
    type Output = R;

    #[inline]
    fn detach<F>(self, body: impl FnOnce() -> F) -> Answer<R, BoxFuture<'static, R>>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        match self {
            Self::Hit(output) => Answer::Hit { output: Some(output) },
            Self::HitAndRefresh(output, miss) => {
                miss.refresh_in_background(body);
                Answer::Hit { output: Some(output) }
            }
            Self::Miss(miss) => {
                let detached = miss.compute_detached(body());
                Answer::Miss { miss: Box::pin(async { detached.await.0 }) }
            }
        }
    }
}

/// As [`Found`], for a call that also returns where the answer came from.
#[derive(Debug)]
pub enum FoundTraced<R> {
    /// As [`Found::Hit`].
    Hit(Lookup<R>),
    /// As [`Found::HitAndRefresh`].
    HitAndRefresh(Lookup<R>, Miss<R>),
    /// As [`Found::Miss`].
    Miss(Miss<R>),
}

impl<R> FoundTraced<R> {
    /// As [`Found::or_compute`].
    pub fn or_compute<F: Future<Output = R>, B: FnOnce() -> F>(
        self,
        body: B,
    ) -> Answer<Lookup<R>, impl Future<Output = Lookup<R>> + use<R, F, B>> {
        match self {
            Self::Hit(lookup) | Self::HitAndRefresh(lookup, _) => Answer::Hit { output: Some(lookup) },
            Self::Miss(miss) => {
                // Boxed, so that the body is not moved once more.
                let mut computing = Box::pin(miss.compute(body()));
                Answer::Miss {
                    miss: async move {
                        let output = computing.as_mut().await;
                        computing.as_ref().provenance().into_lookup(output)
                    },
                }
            }
        }
    }
}

impl<R> Detach<R> for FoundTraced<R> {
    type Output = Lookup<R>;

    fn detach<F>(self, body: impl FnOnce() -> F) -> Answer<Lookup<R>, BoxFuture<'static, Lookup<R>>>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        match self {
            Self::Hit(lookup) => Answer::Hit { output: Some(lookup) },
            Self::HitAndRefresh(lookup, miss) => {
                miss.refresh_in_background(body);
                Answer::Hit { output: Some(lookup) }
            }
            Self::Miss(miss) => {
                let detached = miss.compute_detached(body());
                Answer::Miss {
                    miss: Box::pin(async {
                        let (output, provenance) = detached.await;
                        provenance.into_lookup(output)
                    }),
                }
            }
        }
    }
}

pin_project! {
    /// The answer to a call; ready at once for a hit.
    #[project = AnswerProjection]
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub enum Answer<R, F> {
        /// The answer from memory.
        Hit { output: Option<R> },
        /// The future of a miss.
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
