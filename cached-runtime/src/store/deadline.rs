//! A deadline that takes into account that this process may be too busy to see a reply that has come.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// A deadline has passed.
#[derive(Debug)]
pub(super) struct Elapsed;

/// Returns the output of an operation, or an error after the deadline.
///
/// A runtime with thousands of tasks to poll sees a reply as late as the end of the deadline. How late it is for that says
/// how late it may be for the reply, which is waited for as long again.
pub(super) async fn within<T>(
    mut deadline: Instant,
    mut operation: Pin<&mut impl Future<Output = T>>,
) -> Result<T, Elapsed> {
    let last = deadline + MAX_EXTENSION;
    loop {
        if let Ok(output) = timeout_at(deadline, operation.as_mut()).await {
            return Ok(output);
        }
        deadline = extended(deadline, last).ok_or(Elapsed)?;
    }
}

/// Returns the end of the extension of a deadline that has just passed, up to `last`; `None` if this process is not late.
pub(super) fn extended(deadline: Instant, last: Instant) -> Option<Instant> {
    let now = Instant::now();
    let late = now.saturating_duration_since(deadline);
    (late >= MIN_LATENESS && deadline < last).then(|| (now + late).min(last))
}

/// How late a timer may be without saying anything about the load.
const MIN_LATENESS: Duration = Duration::from_millis(5);
/// By how much a deadline is extended at most.
pub(super) const MAX_EXTENSION: Duration = Duration::from_secs(1);
