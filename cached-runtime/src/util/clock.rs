//! What time it is, as cheaply as the question allows.
//!
//! Reading the precise clock costs more than the rest of a hit. So a hit asks the kernel's coarse clock first, which
//! is a load from a shared page but lags behind by up to one tick, and the precise one only when the answer is
//! within that lag.
//!
//! Debug builds, and release builds with the feature `test-util`, ask tokio's clock only: in tests it can be
//! paused and moved.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A point in time: nanoseconds since some moment before the program began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Exactly now.
    pub(crate) fn now() -> Self {
        Self(nanos(Instant::now().saturating_duration_since(epoch())))
    }

    /// Whether this moment has come.
    #[inline]
    pub(crate) fn has_come(self) -> bool {
        match coarse::at_the_latest() {
            Some(latest) if latest < self.0 => false,
            _ => self <= Self::now(),
        }
    }

    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// How long it is from an `earlier` moment to this one; zero if it is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment that several threads bring forward; at first it is never.
#[derive(Debug)]
pub(crate) struct AtomicMoment(AtomicU64);

impl AtomicMoment {
    /// Brings it forward to `moment`; whether that changed it.
    pub(crate) fn lower(&self, moment: Moment) -> bool {
        moment.0 < self.0.load(Ordering::Relaxed) && moment.0 < self.0.fetch_min(moment.0, Ordering::AcqRel)
    }

    pub(crate) fn get(&self) -> Moment {
        Moment(self.0.load(Ordering::Acquire))
    }

    /// Makes it never again.
    pub(crate) fn reset(&self) {
        self.0.store(u64::MAX, Ordering::Release);
    }
}

impl Default for AtomicMoment {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

/// Milliseconds since 1970 by the clock on the wall, for what other machines will read.
#[cfg(feature = "store")]
pub(crate) fn unix_millis() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, millis)
}

/// Saturates after 584 million years.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Saturates after 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Lies a day before the first question, so that a runtime whose clock was paused earlier than that still has
/// moments that differ.
fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| {
        let now = std::time::Instant::now();
        now.checked_sub(Duration::from_secs(86_400)).unwrap_or(now).into()
    })
}

#[cfg(all(target_os = "linux", not(any(debug_assertions, feature = "test-util"))))]
mod coarse {
    use std::sync::OnceLock;

    use rustix::time::{ClockId, Timespec, clock_gettime};

    /// Linux ticks at least 100 times a second.
    const TICK: u64 = 10_000_000;

    /// No `Moment::now` of this instant is later than this.
    #[inline]
    pub(super) fn at_the_latest() -> Option<u64> {
        Some((nanos(clock_gettime(ClockId::MonotonicCoarse)) + TICK).saturating_sub(epoch()))
    }

    /// Our epoch by the kernel's clock.
    #[inline]
    fn epoch() -> u64 {
        static EPOCH: OnceLock<u64> = OnceLock::new();
        *EPOCH.get_or_init(|| {
            // In this order: a pause between the two makes the epoch too early, which only costs a precise look.
            let kernels = nanos(clock_gettime(ClockId::Monotonic));
            kernels.saturating_sub(super::Moment::now().0)
        })
    }

    fn nanos(time: Timespec) -> u64 {
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }
}

#[cfg(not(all(target_os = "linux", not(any(debug_assertions, feature = "test-util")))))]
mod coarse {
    pub(super) const fn at_the_latest() -> Option<u64> {
        None
    }
}
