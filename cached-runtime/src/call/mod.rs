//! One call, from the miss to its result: the state machine that is polled, its steps, single flight in the process,
//! waiting for the lease of another process, background refresh, and backoff after failures.
//!
//! The layer above creates a [`CallState`] for each call that is not a plain hit in memory. It becomes an answer, if
//! memory has one after all, or a [`Miss`], which is polled until it has a result.

mod answer;
mod background;
mod backoff;
mod detached;
mod flight;
mod flights;
mod follower_result;
mod instance_cache;
mod keeper;
mod lease_wait;
mod liveness;
mod miss;
mod places;
mod poll_guard;
mod shutdown;
mod state;
mod state_machine;
mod steps;
mod typed_options;
mod wait_graph;

pub(crate) use answer::FoundTraced;
pub use answer::{Found, or_compute_detached};
pub(crate) use instance_cache::{AnyCache, InstanceCache};
pub(crate) use miss::Miss;
pub use shutdown::shutdown;
pub(crate) use state::{CallState, Purpose};
pub(crate) use typed_options::TypedOptions;
