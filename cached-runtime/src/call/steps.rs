//! The steps of a call, without the types of its key and value.

use std::fmt;
use std::task::{Context, Poll};

use super::poll_guard::Entered;
use crate::BoxFuture;
use crate::lookup::{Origin, Provenance};
use crate::memory::Fill;
use crate::shared::LeaseAnswer;
use crate::signature::TimeoutOutput;

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
