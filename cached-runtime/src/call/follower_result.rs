//! The result that the leader of a flight publishes to its followers.

use super::flight::Flight;
use crate::lookup::Origin;
use crate::shared::HeldLease;
use crate::signature::{ReturnKind, TimeoutOutput};

/// The flight of a call: followers get a [`FlightOutput`], and the next leader gets the lease.
pub(super) type CallFlight<K, O> = Flight<K, FlightOutput<O>, HeldLease>;

/// What a leader publishes, as opposed to what its own caller gets.
pub(super) enum FollowerResult<O: ReturnKind> {
    /// The output that the caller gets.
    Output,
    /// The error that the caller does not get, because it has a stale value; `None` if the error cannot be shared.
    ///
    /// Each follower falls back to its own stale value, or has none, because it called when that one had expired.
    Error(Option<Box<O::Shared>>),
    TimeoutOutput(TimeoutOutput<O::Output>),
}

impl<O: ReturnKind> FollowerResult<O> {
    /// Returns what followers get if the caller gets `output` from `origin`; `None` if it cannot be shared.
    pub(super) fn flight_output(
        &self,
        kind: O,
        output: &O::Output,
        origin: Origin,
    ) -> Option<FlightOutput<O>> {
        match self {
            Self::Output => kind.to_shared(output).map(|shared| FlightOutput::Output(shared, origin)),
            Self::Error(error) => Some(FlightOutput::Output(*error.clone()?, Origin::COMPUTED)),
            Self::TimeoutOutput(timed_out) => Some(FlightOutput::TimeoutOutput(*timed_out)),
        }
    }
}

/// What followers get from a flight.
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
