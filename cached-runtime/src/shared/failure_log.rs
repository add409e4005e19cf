//! How often failures of a shared store are logged: a bounded number of lines, however many operations fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::util::Moment;

/// The kinds of store operations that can fail while the others work.
///
/// A replica answers reads and rejects writes; a user may lack the permission for scripts; a server without memory still
/// removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationClass {
    Read,
    Lease,
    Write,
    Invalidation,
    /// Operations of any kind that were not sent.
    Overload,
}

/// When failures were logged, for each class of operations.
#[derive(Debug, Default)]
pub(super) struct FailureLog([ClassLog; 5]);

#[derive(Debug, Default)]
struct ClassLog {
    /// Whether a failure was logged and no operation has succeeded since.
    is_failing: AtomicBool,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// When the next failure may be logged.
    next: Option<Moment>,
    /// How many failures were not logged since the last line.
    suppressed: u64,
}

/// The shortest time between two lines about failures of one class.
const INTERVAL: Duration = Duration::from_secs(10);

impl FailureLog {
    /// Records a failure. If it is to be logged, returns how many were not since the last line.
    pub(super) fn failure(&self, class: OperationClass) -> Option<u64> {
        let (log, now) = (self.class(class), Moment::now());
        let mut lines = log.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.next.is_some_and(|next| now < next) {
            lines.suppressed += 1;
            return None;
        }
        lines.next = Some(now.after(INTERVAL));
        log.is_failing.store(true, Ordering::Release);
        Some(std::mem::take(&mut lines.suppressed))
    }

    /// Records a failure if it is not to be logged; returns `false` if it is.
    pub(super) fn suppress(&self, class: OperationClass) -> bool {
        let mut lines = self.class(class).lines.lock().unwrap_or_else(PoisonError::into_inner);
        let is_suppressed = lines.next.is_some_and(|next| Moment::now() < next);
        lines.suppressed += u64::from(is_suppressed);
        is_suppressed
    }

    /// Records a success; returns `true` for the first one after a failure that was logged.
    pub(super) fn success(&self, class: OperationClass) -> bool {
        let is_failing = &self.class(class).is_failing;
        is_failing.load(Ordering::Acquire) && is_failing.swap(false, Ordering::AcqRel)
    }

    fn class(&self, class: OperationClass) -> &ClassLog {
        let [read, lease, write, invalidation, overload] = &self.0;
        match class {
            OperationClass::Read => read,
            OperationClass::Lease => lease,
            OperationClass::Write => write,
            OperationClass::Invalidation => invalidation,
            OperationClass::Overload => overload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OperationClass::{Read, Write};
    use super::*;

    #[test]
    fn failures_are_logged_once_in_an_interval_with_the_number_suppressed() {
        let log = FailureLog::default();
        assert_eq!(log.failure(Write), Some(0));
        for _ in 0..1_000 {
            assert_eq!(log.failure(Write), None);
        }
        log.class(Write).lines.lock().unwrap().next = Some(Moment::now());
        assert_eq!(log.failure(Write), Some(1_000));
    }

    #[test]
    fn success_of_another_class_does_not_end_a_failure() {
        let log = FailureLog::default();
        assert!(!log.success(Read), "nothing has failed");
        log.failure(Write);
        assert!(!log.success(Read));
        assert!(log.success(Write));
        assert!(!log.success(Write), "it is reported once");
        assert_eq!(log.failure(Write), None, "also if it fails again and again");
        assert!(!log.success(Write), "what was not logged needs no end");
    }
}
