//! The limits that a configuration can change, for the whole process.
//!
//! They are read whenever they are needed, so the values from before an installation are the defaults.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::millis;

/// A number, or a time in milliseconds, that can be configured.
#[derive(Debug)]
pub(crate) struct Limit {
    value: AtomicU64,
    range: RangeInclusive<u64>,
    /// What is wrong with a value outside of the range.
    mistake: &'static str,
}

/// How long a lease lasts without an extension, and so for how long a crashed process keeps others from filling a key.
#[cfg(feature = "store")]
pub(crate) static LEASE_TERM: Limit =
    Limit::new(10_000, 1_000..=10 * MINUTE, "the term of a lease must be from 1 second to 10 minutes");

/// How long calls wait for one computation, of this process or of another one, before one of them computes as well.
pub(crate) static WAIT_BUDGET: Limit =
    Limit::new(30_000, 100..=60 * MINUTE, "the wait budget must be from 100 milliseconds to 1 hour");

/// The number of background refreshes that run at a time.
pub(crate) static BACKGROUND_REFRESHES: Limit =
    Limit::new(256, 1..=MAX_TASKS, "the number of background refreshes must be from 1 to 65536");

/// How long one background refresh may take, unless the function has a longer `timeout`.
pub(crate) static BACKGROUND_TIMEOUT: Limit = Limit::new(
    30_000,
    100..=60 * MINUTE,
    "the timeout of background refreshes must be from 100 milliseconds to 1 hour",
);

/// The number of computations that go on without callers.
pub(crate) static ABANDONED_COMPUTATIONS: Limit =
    Limit::new(1_024, 0..=MAX_TASKS, "the number of abandoned computations must be at most 65536");

/// How long a computation goes on without callers, unless the function has a `timeout`.
pub(crate) static ABANDONED_TIMEOUT: Limit = Limit::new(
    5 * MINUTE,
    100..=24 * 60 * MINUTE,
    "the timeout of abandoned computations must be from 100 milliseconds to 24 hours",
);

/// The longest pause between two attempts to make a pending invalidation.
#[cfg(feature = "store")]
pub(crate) static RETRY_PAUSE: Limit = Limit::new(
    5_000,
    100..=5 * MINUTE,
    "the longest pause between retries must be from 100 milliseconds to 5 minutes",
);

const MINUTE: u64 = 60_000;
const MAX_TASKS: u64 = 65_536;

impl Limit {
    const fn new(default: u64, range: RangeInclusive<u64>, mistake: &'static str) -> Self {
        Self { value: AtomicU64::new(default), range, mistake }
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_millis(self.value.load(Relaxed))
    }

    pub(crate) fn number(&self) -> usize {
        usize::try_from(self.value.load(Relaxed)).unwrap_or(usize::MAX)
    }

    /// Returns a new value, which takes effect when it is applied.
    pub(crate) fn to_time(&'static self, time: Duration) -> Setting {
        Setting { limit: self, value: millis(time) }
    }

    /// Returns a new value, which takes effect when it is applied.
    pub(crate) fn to_number(&'static self, number: usize) -> Setting {
        Setting { limit: self, value: u64::try_from(number).unwrap_or(u64::MAX) }
    }
}

/// A value that a limit is to have.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    limit: &'static Limit,
    value: u64,
}

impl Setting {
    /// Returns what is wrong with it.
    pub(crate) fn mistake(&self) -> Option<&'static str> {
        (!self.limit.range.contains(&self.value)).then_some(self.limit.mistake)
    }

    pub(crate) fn apply(&self) {
        self.limit.value.store(self.value, Relaxed);
    }
}
