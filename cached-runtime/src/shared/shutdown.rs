//! The end of the process's use of shared stores: the leases that it holds are given back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::namespace::Namespace;
use crate::util::{join_all, timer};
use crate::{Key, LastAttempt, Lease};

/// Gives back the leases that this process holds in shared stores, so that other processes compute their keys at once
/// instead of after the term.
///
/// Call it last, when no request is answered any more. A computation that is still running goes on, and its caller gets the
/// result, but it is not stored; calls that come later compute without leases. It takes no longer than `deadline`, and the
/// report says what is left. What is left expires after its term.
///
/// # Cancel safety
///
/// Leases that were not given back yet expire after their term.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let report = cached_runtime::shutdown(Duration::from_secs(1)).await;
/// assert_eq!(report.leases_left, 0);
/// # }
/// ```
pub async fn shutdown(deadline: Duration) -> ShutdownReport {
    IS_SHUT_DOWN.store(true, Ordering::Release);
    let end = Instant::now() + deadline;
    let mut report = ShutdownReport::default();
    let held: Vec<_> = lock()
        .iter()
        .map(|(token, (namespace, key))| (Lease::new(*token), *namespace, key.clone()))
        .collect();
    for batch in held.chunks(BATCH) {
        let release = async |(lease, namespace, key): &(Lease, &'static Namespace, Key)| {
            let released =
                namespace.with_deadline(|store| store.release(key, *lease, LastAttempt::Unknown)).await;
            released.is_ok()
        };
        let released = timer::timeout_at(end, join_all(batch.iter().map(release))).await;
        let returned = released.unwrap_or_default().into_iter().filter(|is_ok| *is_ok).count();
        report.leases_returned += returned;
        report.leases_left += batch.len() - returned;
    }
    report
}

/// What [`shutdown`] has done, and what it has left.
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
    /// The leases that were given back.
    pub leases_returned: usize,
    /// The leases that could not be given back before the deadline. They expire after their term.
    pub leases_left: usize,
}

/// Returns `true` after [`shutdown`] was called: this process takes no more leases.
pub(super) fn is_shut_down() -> bool {
    IS_SHUT_DOWN.load(Ordering::Acquire)
}

static IS_SHUT_DOWN: AtomicBool = AtomicBool::new(false);

/// The leases that this process holds, or is giving back, by their tokens.
static REGISTERED: LazyLock<Mutex<HashMap<u128, (&'static Namespace, Key)>>> = LazyLock::new(Mutex::default);

/// The maximum number of leases that are registered. Others expire.
const MAX_REGISTERED: usize = 100_000;
/// How many leases are released at the same time.
const BATCH: usize = 64;

/// A lease that [`shutdown`] gives back while this lives.
#[derive(Debug)]
pub(super) struct RegisteredLease(Lease);

impl RegisteredLease {
    pub(super) fn new(namespace: &'static Namespace, key: Key, lease: Lease) -> Self {
        let mut registered = lock();
        if registered.len() < MAX_REGISTERED {
            registered.insert(lease.token(), (namespace, key));
        }
        Self(lease)
    }

    pub(super) const fn lease(&self) -> Lease {
        self.0
    }
}

impl Drop for RegisteredLease {
    fn drop(&mut self) {
        let removed = lock().remove(&self.0.token());
        drop(removed);
    }
}

fn lock() -> MutexGuard<'static, HashMap<u128, (&'static Namespace, Key)>> {
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}
