//! One call, from the miss to its result: the state machine that is polled, its steps, single flight in the process,
//! waiting for the lease of another process, background refreshes, and the backoff after failures.
//!
//! The layers above create a [`CallState`] for a call that is not a plain hit, and poll what it becomes.

mod answer;
mod background;
mod backoff;
mod cache;
mod flight;
mod flights;
mod lease_wait;
mod machine;
mod miss;
mod poll_guard;
mod state;
mod steps;

pub use answer::or_compute_detached;
pub(crate) use answer::{Found, FoundTraced};
pub(crate) use cache::{AnyCache, Cache, TypedOptions};
pub(crate) use miss::Miss;
pub(crate) use state::{CallState, Purpose};
