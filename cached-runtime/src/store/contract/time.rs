//! The time limits of the contract.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long after its ttl or term a value or a lease may still be present: 2 seconds.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::contract::MAX_EXPIRY_DELAY;
///
/// // A server with a clock of whole seconds rounds up, and its current second may just have begun.
/// let (ttl, longest_life) = (Duration::from_millis(1100), Duration::from_secs(3));
/// assert!(longest_life <= ttl + MAX_EXPIRY_DELAY);
/// ```
pub const MAX_EXPIRY_DELAY: Duration = Duration::from_secs(2);

/// How long one operation of a store may take before the contract counts it as hanging: 30 seconds.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::contract::MAX_RESPONSE_TIME;
///
/// // A store with a deadline below this limit does not count as hanging.
/// assert!(Duration::from_millis(50) < MAX_RESPONSE_TIME);
/// ```
pub const MAX_RESPONSE_TIME: Duration = Duration::from_secs(30);

/// A ttl or term that no test outlives.
pub(super) const LONG: Duration = Duration::from_secs(60);
/// A ttl or term that a test can wait for.
pub(super) const SHORT: Duration = Duration::from_millis(400);
/// The delay that a busy machine may add to [`MAX_EXPIRY_DELAY`].
const SCHEDULING_SLACK: Duration = Duration::from_secs(1);

/// Paces the polling of a condition, and panics if the condition does not become true in time.
pub(super) struct Poller {
    deadline: Instant,
    /// A time before the last check of the condition.
    last_check: Instant,
    clause: &'static str,
}

impl Poller {
    /// Creates a poller for a clause that must hold after `deadline`.
    pub(super) fn new(deadline: Instant, clause: &'static str) -> Self {
        Self { deadline: deadline + SCHEDULING_SLACK, last_check: Instant::now(), clause }
    }

    /// Waits until the condition is to be checked again.
    pub(super) async fn tick(&mut self) {
        assert!(self.last_check < self.deadline, "{}", self.clause);
        sleep(Duration::from_millis(20)).await;
        self.last_check = Instant::now();
    }
}
