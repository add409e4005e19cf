//! One call, from the miss to its result: the state machine that is polled, its steps, single flight in the process,
//! waiting for the lease of another process, background refreshes, and the backoff after failures.
//!
//! The layers above create a [`CallState`] for a call that is not a plain hit, and poll what it becomes.

mod answer;
mod background;
mod backoff;
mod flight;
mod flights;
mod follower_result;
mod instance_cache;
mod lease_wait;
mod machine;
mod miss;
mod poll_guard;
mod state;
mod steps;
mod typed_options;

pub use answer::or_compute_detached;
pub(crate) use answer::{Found, FoundTraced};
pub(crate) use instance_cache::{AnyCache, Cache};
pub(crate) use miss::Miss;
pub(crate) use state::{CallState, Purpose};
pub(crate) use typed_options::TypedOptions;
