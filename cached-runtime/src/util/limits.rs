//! The limits that a configuration can change, for the whole process.
//!
//! They are read whenever they are needed, so the values from before an installation are the defaults.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::millis;

/// In milliseconds.
#[cfg(feature = "store")]
static LEASE_TERM: AtomicU64 = AtomicU64::new(10_000);
/// In milliseconds.
static WAIT_BUDGET: AtomicU64 = AtomicU64::new(30_000);

/// Returns how long a lease lasts without an extension, and so for how long a crashed process keeps others from filling
/// a key: 10 seconds by default.
#[cfg(feature = "store")]
pub(crate) fn lease_term() -> Duration {
    Duration::from_millis(LEASE_TERM.load(Relaxed))
}

/// Returns the longest time that a call waits for the computation of another one, in this process or in another one: 30
/// seconds by default.
pub(crate) fn wait_budget() -> Duration {
    Duration::from_millis(WAIT_BUDGET.load(Relaxed))
}

/// Changes the term of leases.
#[cfg(feature = "store")]
pub(crate) fn set_lease_term(term: Duration) {
    LEASE_TERM.store(millis(term), Relaxed);
}

/// Changes the wait budget.
pub(crate) fn set_wait_budget(budget: Duration) {
    WAIT_BUDGET.store(millis(budget), Relaxed);
}
