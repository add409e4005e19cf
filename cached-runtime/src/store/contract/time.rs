//! How long the contract waits.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How much later than asked for a value or a lease may end.
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::contract::LATE;
///
/// // A server that counts whole seconds rounds up, and the next of them may have almost begun.
/// let (ttl, at_most) = (Duration::from_millis(1100), Duration::from_secs(3));
/// assert!(at_most <= ttl + LATE);
/// ```
pub const LATE: Duration = Duration::from_secs(2);

/// How long a store may take to answer before it counts as one that does not.
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::contract::ANSWER;
///
/// // A store that gives up by itself before that does not count as one that hangs.
/// assert!(Duration::from_millis(50) < ANSWER);
/// ```
pub const ANSWER: Duration = Duration::from_secs(30);

/// Longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(400);
/// What a busy machine may add to [`LATE`].
const BUSY: Duration = Duration::from_secs(1);

/// Waits for something to come true, again and again, and panics when that takes too long.
pub(super) struct Patience {
    until: Instant,
    /// When it was looked for last, at the earliest.
    looked: Instant,
    broken: &'static str,
}

impl Patience {
    /// What has to hold `by` then at the latest.
    pub(super) fn new(by: Instant, broken: &'static str) -> Self {
        Self { until: by + BUSY, looked: Instant::now(), broken }
    }

    pub(super) async fn wait(&mut self) {
        assert!(self.looked < self.until, "{}", self.broken);
        sleep(Duration::from_millis(20)).await;
        self.looked = Instant::now();
    }
}
