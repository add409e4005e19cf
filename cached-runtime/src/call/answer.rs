//! What a call found in memory, and the future that answers it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::machine::Computing;
use super::miss::Miss;
use crate::BoxFuture;
use crate::lookup::Lookup;

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
                        computing.as_ref().provenance().of(output)
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
