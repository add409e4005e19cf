//! The state machine that polls a call to its result, without the types of its key and value.
//!
//! 1. Read the shared store, if there is one.
//! 2. Join the flight of the key. If another call leads it, wait for that.
//! 3. Otherwise acquire the lease, wait for a place among the computations, compute, fill the shared store, and publish the
//!    result to the followers.
//!
//! # Cancel safety
//!
//! A call can be dropped at any point. It then hands over what it holds, its place in the flight and the lease, to a
//! follower.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::places::Place;
use super::steps::{Available, Call, Join, Next, WaitEnd};
use crate::BoxFuture;
use crate::lookup::Provenance;
use crate::memory::Fill;
use crate::shared::LeaseAnswer;
use crate::signature::TimeoutOutput;
use crate::trace::ComputeSpan;

pin_project! {
    /// A call on its way to a result. The body is stored in it once.
    #[must_use = "futures do nothing unless polled"]
    pub struct Computing<R, F> {
        // Dropped first: a body has ended when the call hands over to the next one.
        #[pin]
        body: Option<F>,
        call: Box<dyn Call<R>>,
        stage: Stage<R>,
        span: ComputeSpan,
    }
}

/// The next step of a call, or the future of the current one.
pub(super) enum Stage<R> {
    ReadShared,
    Join,
    Waiting(BoxFuture<'static, WaitEnd<R>>),
    AcquireLease,
    AcquiringLease(BoxFuture<'static, LeaseAnswer>),
    WaitingForPlace(BoxFuture<'static, Option<Place>>),
    /// The body runs; after its first `Pending`, with what keeps the flight and the lease alive.
    Computing(Option<BoxFuture<'static, TimeoutOutput<R>>>),
    Filling(BoxFuture<'static, Fill>, Option<R>),
    Done,
}

impl<R, F> Computing<R, F> {
    #[inline]
    pub(super) fn new(call: Box<dyn Call<R>>, stage: Stage<R>, body: F) -> Self {
        Self { body: Some(body), call, stage, span: ComputeSpan::default() }
    }

    /// Returns where the answer came from.
    pub(super) fn provenance(self: Pin<&Self>) -> Provenance {
        self.project_ref().call.provenance()
    }

    /// As [`Call::caller_guard`].
    pub(super) fn caller_guard(&self) -> Option<Box<dyn fmt::Debug + Send>> {
        self.call.caller_guard()
    }

    /// As [`Call::abandoned`].
    pub(super) fn abandoned(&self) -> BoxFuture<'static, ()> {
        self.call.abandoned()
    }
}

impl<R, F: Future<Output = R>> Future for Computing<R, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let (call, stage, span, mut body) = (&mut **this.call, this.stage, this.span, this.body);
        loop {
            *stage = match stage {
                Stage::ReadShared | Stage::Join | Stage::Waiting(_) => {
                    match ready!(poll_available(call, stage, cx)) {
                        Available::Answer(output) | Available::AnswerAndRefresh(output) => {
                            *stage = Stage::Done;
                            return Poll::Ready(output);
                        }
                        Available::Nothing => acquire_lease(call),
                    }
                }
                Stage::AcquireLease => acquire_lease(call),
                Stage::AcquiringLease(acquiring) => {
                    let answer = ready!(acquiring.as_mut().poll(cx));
                    if call.on_lease_answer(answer) { take_place(call) } else { Stage::ReadShared }
                }
                Stage::WaitingForPlace(waiting) => {
                    let place = ready!(waiting.as_mut().poll(cx));
                    call.on_place(place);
                    Stage::Computing(None)
                }
                Stage::Computing(keep_alive) => {
                    let Some(running) = body.as_mut().as_pin_mut() else { return Poll::Pending };
                    let output = match poll_body(call, span, running, cx) {
                        Poll::Ready(output) => Ok(output),
                        Poll::Pending => {
                            // A body that is ready at once needs none of this.
                            if keep_alive.is_none() {
                                *keep_alive = call.keep_alive();
                            }
                            match keep_alive {
                                Some(keep_alive) => Err(ready!(keep_alive.as_mut().poll(cx))),
                                None => return Poll::Pending,
                            }
                        }
                    };
                    // Drop the body, and what it holds, before waiting for the store.
                    body.set(None);
                    let (output, fill) = call.on_computed(output);
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
                    call.on_filled(fill, &output);
                    return Poll::Ready(output);
                }
                Stage::Done => return Poll::Pending,
            };
        }
    }
}

/// Returns the stage after the join: a call that needs no lease, and no place, computes.
fn acquire_lease<R>(call: &mut dyn Call<R>) -> Stage<R> {
    match call.acquire_lease() {
        Some(acquiring) => Stage::AcquiringLease(acquiring),
        None => take_place(call),
    }
}

fn take_place<R>(call: &mut dyn Call<R>) -> Stage<R> {
    match call.take_place() {
        Some(waiting) => Stage::WaitingForPlace(waiting),
        None => Stage::Computing(None),
    }
}

fn poll_body<R, F: Future<Output = R>>(
    call: &dyn Call<R>,
    span: &mut ComputeSpan,
    body: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<R> {
    let guard = call.poll_guard();
    let _entered = span.enter(|| call.compute_span());
    let polled = body.poll(cx);
    if let Some(guard) = guard.filter(|_| polled.is_pending()) {
        guard.pending();
    }
    polled
}

/// Polls the stages in which the answer may be available without computing.
pub(super) fn poll_available<R>(
    call: &mut dyn Call<R>,
    stage: &mut Stage<R>,
    cx: &mut Context<'_>,
) -> Poll<Available<R>> {
    loop {
        if matches!(stage, Stage::ReadShared) {
            match ready!(call.read_shared(cx)) {
                Available::Nothing => {}
                answer => return Poll::Ready(answer),
            }
        }
        *stage = match stage {
            Stage::ReadShared | Stage::Join => match call.join() {
                Join::Cached(output) => return Poll::Ready(Available::Answer(output)),
                Join::Wait(waiting) => Stage::Waiting(waiting),
                Join::Compute => return Poll::Ready(Available::Nothing),
            },
            Stage::Waiting(waiting) => {
                let end = ready!(waiting.as_mut().poll(cx));
                match call.on_wait_ended(end) {
                    Next::Return(output) => return Poll::Ready(Available::Answer(output)),
                    Next::ReadShared => Stage::ReadShared,
                    Next::Join => Stage::Join,
                }
            }
            Stage::AcquireLease
            | Stage::AcquiringLease(_)
            | Stage::WaitingForPlace(_)
            | Stage::Computing(_)
            | Stage::Filling(..)
            | Stage::Done => return Poll::Ready(Available::Nothing),
        };
    }
}

impl<R, F> fmt::Debug for Computing<R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computing").finish_non_exhaustive()
    }
}
