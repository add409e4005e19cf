//! What the followers of a flight get.

use crate::lookup::Origin;
use crate::signature::{ReturnKind, TimeoutOutput};

/// What those who wait get.
pub(super) enum Shares<O: ReturnKind> {
    /// What the caller gets.
    Output,
    /// The failure that the caller does not get, if it can be shared: each of those who wait has an old value of its own,
    /// or none because it came after the end of that one.
    Failure(Option<O::Shared>),
    TimeoutOutput(TimeoutOutput<O::Output>),
}

/// What those who wait for a computation get.
pub(crate) enum FlightOutput<O: ReturnKind> {
    Output(O::Shared, Origin),
    TimeoutOutput(TimeoutOutput<O::Output>),
}

impl<O: ReturnKind> Clone for FlightOutput<O> {
    fn clone(&self) -> Self {
        match self {
            Self::Output(shared, origin) => Self::Output(shared.clone(), *origin),
            Self::TimeoutOutput(timed_out) => Self::TimeoutOutput(*timed_out),
        }
    }
}
