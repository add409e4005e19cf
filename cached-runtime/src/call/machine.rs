//! A call on its way to its result, without the types of its key and value.
//!
//! What is in memory is answered at once. For the rest: ask the shared store, if there is one. Join the flight of the
//! key; if it is another's, wait for that one. Else ask for the lease; compute; fill the store; let those who wait go on.
//! Dropping the call at any point hands what it had to whoever waits: the place in the flight, and the lease.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::steps::{Call, Join, Next, Others, Waiting};
use crate::BoxFuture;
use crate::lookup::Provenance;
use crate::memory::Fill;
use crate::shared::LeaseAnswer;
use crate::signature::TimeoutOutput;

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

pub(super) enum Stage<R> {
    Look,
    Join,
    Waiting(BoxFuture<'static, Waiting<R>>),
    Claim,
    Claiming(BoxFuture<'static, LeaseAnswer>),
    Compute(Option<BoxFuture<'static, TimeoutOutput<R>>>),
    Filling(BoxFuture<'static, Fill>, Option<R>),
    Done,
}

impl<R, F> Computing<R, F> {
    pub(super) fn new(call: Box<dyn Call<R>>, stage: Stage<R>, body: F) -> Self {
        Self { call, stage, body: Some(body) }
    }

    /// Where the answer came from.
    pub(super) fn provenance(self: Pin<&Self>) -> Provenance {
        self.project_ref().call.provenance()
    }

    /// A caller that waits for this call.
    pub(super) fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>> {
        self.call.interest()
    }

    /// Returns when no caller waits for this call any more.
    pub(super) fn deserted(&self) -> BoxFuture<'static, ()> {
        self.call.deserted()
    }
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
pub(super) fn poll_others<R>(
    call: &mut dyn Call<R>,
    stage: &mut Stage<R>,
    cx: &mut Context<'_>,
) -> Poll<Others<R>> {
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
