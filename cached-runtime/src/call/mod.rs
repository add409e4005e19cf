//! One call, from the miss to its result: the state machine that is polled, its steps, single flight in the process,
//! waiting for the lease of another process, background refreshes, and the backoff after failures.
//!
//! The layers above create a [`CallState`] for a call that is not a plain hit, and poll what it becomes.

mod background;
mod backoff;
mod cache;
mod flight;
mod flights;
mod lease_wait;
mod poll;
mod poll_guard;
mod state;

pub(crate) use cache::{AnyCache, Cache, TypedOptions};
pub use poll::or_compute_detached;
pub(crate) use poll::{Found, FoundTraced, Miss};
pub(crate) use state::{CallState, Purpose};
