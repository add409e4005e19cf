//! The end of the process's use of caches.

use std::time::Duration;

use super::background;
use crate::shared::{ShutdownReport, shut_down_stores};
use crate::util::{end_of_process, timer};

/// Ends this process's use of caches: stops background refreshes, waits for writes that are on their way, flushes pending
/// invalidations, and gives the leases back that this process holds, so that other processes compute their keys at once
/// instead of after the term.
///
/// Call it last, when no request is answered any more. A computation that is still running goes on, and its caller gets the
/// result, but it is not stored; calls that come later compute without leases, and begin no refreshes. It takes no longer than
/// `deadline`, and the report says what is left. A lease that is left expires after its term. An invalidation that is left is
/// lost with the process: the value stays in the store until its lifetime ends.
///
/// # Cancel safety
///
/// What was not done yet is left.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let report = cached_runtime::shutdown(Duration::from_secs(1)).await;
/// assert_eq!((report.invalidations_left, report.leases_left), (0, 0));
/// # }
/// ```
pub async fn shutdown(deadline: Duration) -> ShutdownReport {
    let end = timer::after(deadline);
    end_of_process::begin();
    let refreshes_stopped = background::running();
    ShutdownReport { refreshes_stopped, ..shut_down_stores(end).await }
}
