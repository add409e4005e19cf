//! The steps of a call, without the types of its key and value: what the state machine polls.

use std::fmt;
use std::task::{Context, Poll};

use tracing::Span;

use super::background::Turn;
use super::places::Place;
use super::poll_guard::PollGuard;
use crate::BoxFuture;
use crate::lookup::{Origin, Provenance};
use crate::memory::Fill;
use crate::shared::LeaseAnswer;
use crate::signature::TimeoutOutput;

/// The steps of a call, in the order in which they are made.
///
/// A call that is dropped between two steps hands over what it holds.
pub(crate) trait Call<R>: Send {
    /// Reads the shared store, if there is one and a value in it could be the answer.
    fn read_shared(&mut self, cx: &mut Context<'_>) -> Poll<Available<R>>;
    /// Joins the flight of the key, or begins one.
    fn join(&mut self) -> Join<R>;
    /// Continues after the wait for a flight has ended.
    fn on_wait_ended(&mut self, end: WaitEnd<R>) -> Next<R>;
    /// Returns the turn of a background refresh of the key.
    fn background_turn(&self) -> Turn;
    /// Turns the call, which has its answer, into one that computes the next value; returns `true` if no other call
    /// does so already.
    fn begin_background_refresh(&mut self) -> bool;
    /// Requests the lease of the key from the shared store; `None` if the call computes without a new lease.
    fn acquire_lease(&mut self) -> Option<BoxFuture<'static, LeaseAnswer>>;
    /// Records the answer of the shared store; returns `true` if the call still has to compute.
    fn on_lease_answer(&mut self, answer: LeaseAnswer) -> bool;
    /// Requests a place among the computations that may run at a time; `None` if the call computes now.
    fn take_place(&mut self) -> Option<BoxFuture<'static, Option<Place>>>;
    /// Takes the place, or notes that the wait for it has ended without one.
    fn on_place(&mut self, place: Option<Place>);
    /// Creates the span of the computation.
    fn compute_span(&self) -> Span;
    /// Marks the key as being computed by this thread, and its flight as alive, while the body is polled.
    fn poll_guard(&self) -> Option<PollGuard<'_>>;
    /// Returns a future that wakes the leader of a flight now and then beside the body, and ends when the body has exceeded
    /// its timeout; `None` if there is nothing to do.
    fn keep_alive(&self) -> Option<BoxFuture<'static, TimeoutOutput<R>>>;
    /// Takes the output of the body, or `Err` after its timeout; returns the output for the caller, and the fill of the
    /// shared store that has to end first.
    fn on_computed(&mut self, output: Result<R, TimeoutOutput<R>>) -> (R, Option<BoxFuture<'static, Fill>>);
    /// Ends the flight after the fill of the shared store.
    fn on_filled(&mut self, fill: Fill, output: &R);
    /// Returns where the answer came from.
    fn provenance(&self) -> Provenance;
    /// Returns a guard that counts as a caller of this call while it lives, and as the wait of the computation that makes
    /// it; `None` for a recursive call, which computes in the caller's task.
    fn caller_guard(&self) -> Option<Box<dyn fmt::Debug + Send>>;
    /// Returns a future that ends when the last caller is gone, and a detached computation does not go on without one.
    fn abandoned(&self) -> BoxFuture<'static, ()>;
}

/// What a call can return without computing.
pub(crate) enum Available<R> {
    Answer(R),
    /// An answer, but the next value is to be computed in the background.
    AnswerAndRefresh(R),
    Nothing,
}

/// The outcome of the join step.
pub(crate) enum Join<R> {
    Cached(R),
    Wait(BoxFuture<'static, WaitEnd<R>>),
    Compute,
}

/// How the wait for a flight ended, for one caller.
pub(crate) enum WaitEnd<R> {
    Output(R, Origin),
    TimeoutOutput(TimeoutOutput<R>),
    Failed,
    Outdated,
    Abandoned,
    Stalled,
}

/// What follows the wait for a flight.
pub(crate) enum Next<R> {
    Return(R),
    ReadShared,
    Join,
}
