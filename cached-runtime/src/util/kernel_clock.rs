//! The monotonic clock of Linux: the time, and an upper bound of it that is cheap to read.

use rustix::time::{ClockId, clock_gettime};

/// The lag of the coarse clock in nanoseconds, at most: Linux ticks at least 100 times a second.
const TICK: u64 = 10_000_000;

/// Returns the time in nanoseconds since the host was started.
pub(super) fn now() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Returns a time that is not before the current one, and ahead of it by a tick at most.
#[inline]
pub(super) fn upper_bound() -> u64 {
    nanos(ClockId::MonotonicCoarse) + TICK
}

#[inline]
fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn bound_is_ahead_of_the_time_by_a_tick_at_most() {
        let end = Instant::now() + Duration::from_millis(30);
        while Instant::now() < end {
            let (earliest, bound, latest) = (now(), upper_bound(), now());
            assert!(bound >= earliest && bound <= latest + TICK, "{earliest} {bound} {latest}");
        }
    }
}
