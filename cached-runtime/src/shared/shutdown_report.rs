//! The report of a shutdown.

/// What [`shutdown`](crate::shutdown) has done, and what it has left.
///
/// # Examples
///
/// ```
/// let report = cached_runtime::ShutdownReport::default();
/// assert_eq!((report.leases_returned, report.leases_left), (0, 0));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The background refreshes that were running, and were stopped.
    pub refreshes_stopped: usize,
    /// The writes to shared stores that had not ended before the deadline. They go on as long as the runtime does.
    pub writes_left: usize,
    /// The invalidations that were pending, and that the store has confirmed now.
    pub invalidations_flushed: usize,
    /// The invalidations that the store has not confirmed before the deadline. They are lost with the process.
    pub invalidations_left: usize,
    /// The leases that were given back.
    pub leases_returned: usize,
    /// The leases that could not be given back before the deadline. They expire after their term. Those of `writes_left`, and
    /// those that were requested and have no answer yet, are not counted: they become such leases if the store fails.
    pub leases_left: usize,
}
