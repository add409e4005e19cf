//! The layer `call`, with its private items accessible, and with the tasks of Shuttle.

#[path = "../../cached-runtime/src/call/answer.rs"]
mod answer;
mod background;
#[path = "../../cached-runtime/src/call/backoff.rs"]
mod backoff;
#[path = "../../cached-runtime/src/call/detached.rs"]
mod detached;
#[path = "../../cached-runtime/src/call/flight.rs"]
mod flight;
#[path = "../../cached-runtime/src/call/flights.rs"]
mod flights;
#[path = "../../cached-runtime/src/call/follower_result.rs"]
mod follower_result;
#[path = "../../cached-runtime/src/call/instance_cache.rs"]
mod instance_cache;
#[path = "../../cached-runtime/src/call/keeper.rs"]
mod keeper;
#[path = "../../cached-runtime/src/call/lease_wait.rs"]
mod lease_wait;
#[path = "../../cached-runtime/src/call/liveness.rs"]
mod liveness;
#[path = "../../cached-runtime/src/call/miss.rs"]
mod miss;
#[path = "../../cached-runtime/src/call/places.rs"]
mod places;
#[path = "../../cached-runtime/src/call/poll_guard.rs"]
mod poll_guard;
#[path = "../../cached-runtime/src/call/state/mod.rs"]
mod state;
#[path = "../../cached-runtime/src/call/state_machine.rs"]
mod state_machine;
#[path = "../../cached-runtime/src/call/steps.rs"]
mod steps;
#[path = "../../cached-runtime/src/call/typed_options.rs"]
mod typed_options;
#[path = "../../cached-runtime/src/call/wait_graph.rs"]
mod wait_graph;

pub(crate) use answer::{Found, or_compute_detached};
pub(crate) use flight::{Flight, FlightEnd, Sequence};
pub(crate) use flights::{Attempt, Ends, Flights, Joined, Outdates};
pub(crate) use instance_cache::{AnyCache, InstanceCache, Tiers};
pub(crate) use miss::Miss;
pub(crate) use state::{CallState, Purpose};
pub(crate) use typed_options::{TagsFrom, TypedOptions};
