//! The clock that lifetimes in memory follow.
//!
//! Reading the precise clock costs more than the rest of a hit. So a hit reads the kernel's coarse clock first, which
//! is a load from a page shared with the kernel and lags behind by up to one tick. The precise clock is read only when
//! the coarse one is too close to the end of the lifetime to tell.
//!
//! Debug builds, and release builds with the feature `test-util`, read tokio's clock only: tests can pause and move it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point in time, in nanoseconds since an origin that is the same in the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Returns the current time, by the precise clock.
    pub(crate) fn now() -> Self {
        Self(reading::now())
    }

    /// Returns `true` if this moment is not in the future.
    #[inline]
    pub(crate) fn has_passed(self) -> bool {
        reading::upper_bound() >= self.0 && self <= Self::now()
    }

    /// Returns the moment `duration` later; saturates after 584 years.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// Returns the moment `duration` earlier; saturates at the origin.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }

    /// Returns the time from an `earlier` moment to this one, or zero if it is not earlier.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment that several threads bring forward; unset at first, which is later than any moment.
#[derive(Debug)]
pub(crate) struct AtomicMoment(AtomicU64);

impl AtomicMoment {
    pub(crate) const fn new(moment: Moment) -> Self {
        Self(AtomicU64::new(moment.0))
    }

    /// Sets it to `moment` if that is earlier; returns `true` if it is.
    pub(crate) fn bring_forward(&self, moment: Moment) -> bool {
        moment.0 < self.0.load(Ordering::Relaxed) && moment.0 < self.0.fetch_min(moment.0, Ordering::AcqRel)
    }

    #[inline]
    pub(crate) fn get(&self) -> Moment {
        Moment(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, moment: Moment) {
        self.0.store(moment.0, Ordering::Release);
    }

    /// Unsets it.
    pub(crate) fn reset(&self) {
        self.0.store(u64::MAX, Ordering::Release);
    }
}

impl Default for AtomicMoment {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

/// Returns the milliseconds since 1970 by the system clock, for what other machines read.
///
/// Where lifetimes follow tokio's clock, it is moved as that one is.
#[cfg(feature = "store")]
pub(crate) fn unix_millis() -> u64 {
    let now = std::time::SystemTime::now();
    #[cfg(any(debug_assertions, feature = "test-util"))]
    let now = moved_as_tokio(now);
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, millis)
}

/// Returns the time by as much later, or earlier, as tokio's clock is later than the real one.
#[cfg(all(feature = "store", any(debug_assertions, feature = "test-util")))]
fn moved_as_tokio(now: std::time::SystemTime) -> std::time::SystemTime {
    let (moved, real) = (tokio::time::Instant::now().into_std(), std::time::Instant::now());
    let ahead = now.checked_add(moved.saturating_duration_since(real));
    let back = ahead.and_then(|time| time.checked_sub(real.saturating_duration_since(moved)));
    back.unwrap_or(now)
}

/// Returns a duration in milliseconds; saturates after 584 million years.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a duration in nanoseconds; saturates after 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(target_os = "linux", not(any(debug_assertions, feature = "test-util"))))]
use super::kernel_clock as reading;

/// The clock of tokio, which tests can pause and move.
#[cfg(not(all(target_os = "linux", not(any(debug_assertions, feature = "test-util")))))]
mod reading {
    use std::sync::OnceLock;
    use std::time::Duration;

    use tokio::time::Instant;

    /// Returns the time in nanoseconds since [`epoch`].
    pub(super) fn now() -> u64 {
        super::nanos(Instant::now().saturating_duration_since(epoch()))
    }

    /// Returns the latest time: there is no bound that is cheaper to read than the time.
    pub(super) const fn upper_bound() -> u64 {
        u64::MAX
    }

    /// Returns the origin of all moments: a day before the first call, so that moments also differ in a runtime whose
    /// clock was paused earlier than that.
    fn epoch() -> Instant {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        *EPOCH.get_or_init(|| {
            let now = std::time::Instant::now();
            now.checked_sub(Duration::from_secs(86_400)).unwrap_or(now).into()
        })
    }
}
