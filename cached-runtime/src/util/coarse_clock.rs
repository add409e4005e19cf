//! An upper bound of the current time, by the coarse clock of the kernel.

/// The offset between the coarse clock of the kernel and the moments of [`clock`](super::clock).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    not(all(target_os = "linux", not(any(debug_assertions, feature = "test-util")))),
    allow(dead_code, reason = "only release builds on Linux read the coarse clock")
)]
struct Offset(i64);

/// The lag of the coarse clock in nanoseconds, at most: Linux ticks at least 100 times a second.
const TICK: i64 = 10_000_000;

#[cfg_attr(
    not(all(target_os = "linux", not(any(debug_assertions, feature = "test-util")))),
    allow(dead_code, reason = "only release builds on Linux read the coarse clock")
)]
impl Offset {
    /// Creates the offset from two readings of the precise clock: `kernel` since an origin of the kernel, and then
    /// `moment` since an origin of the process, which may be before that of the kernel.
    ///
    /// A pause between the readings makes the offset, and so each bound, too high, never too low.
    const fn new(kernel: u64, moment: u64) -> Self {
        Self(moment.wrapping_sub(kernel).cast_signed() + TICK)
    }

    /// Returns a time that is not before the current one, for a reading of the coarse clock.
    ///
    /// It is ahead of the current time by a tick at most.
    #[inline]
    const fn upper_bound(self, coarse: u64) -> u64 {
        coarse.wrapping_add_signed(self.0)
    }
}

#[cfg(all(target_os = "linux", not(any(debug_assertions, feature = "test-util"))))]
mod reading {
    use std::sync::OnceLock;

    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::Offset;

    /// How often the two clocks are compared. The smallest offset is taken: the one with the shortest pause.
    const COMPARISONS: usize = 5;

    /// Returns a time that is not before the current one, in nanoseconds since the origin of what `moment` returns.
    #[inline]
    pub(in super::super) fn upper_bound(moment: fn() -> u64) -> Option<u64> {
        Some(offset(moment).upper_bound(nanos(clock_gettime(ClockId::MonotonicCoarse))))
    }

    #[inline]
    fn offset(moment: fn() -> u64) -> Offset {
        static OFFSET: OnceLock<Offset> = OnceLock::new();
        *OFFSET.get_or_init(|| {
            let compare = || Offset::new(nanos(clock_gettime(ClockId::Monotonic)), moment());
            (1..COMPARISONS).fold(compare(), |least, _| least.min(compare()))
        })
    }

    fn nanos(time: Timespec) -> u64 {
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }
}

#[cfg(not(all(target_os = "linux", not(any(debug_assertions, feature = "test-util")))))]
mod reading {
    /// Returns `None`: there is no coarse clock here.
    pub(in super::super) const fn upper_bound(_: fn() -> u64) -> Option<u64> {
        None
    }
}

pub(super) use self::reading::upper_bound;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000_000_000;
    const MINUTE: u64 = 60_000_000_000;

    /// The origin of the moments is a day before the first one.
    #[test]
    fn bound_is_a_tick_ahead_also_if_the_host_was_started_after_the_origin() {
        for uptime in [0, 1, MINUTE, DAY - 1, DAY, DAY + 1, 1_000 * DAY] {
            let offset = Offset::new(uptime, DAY);
            assert_eq!(offset.upper_bound(uptime), DAY + TICK.cast_unsigned(), "after {uptime} ns");
            assert_eq!(offset.upper_bound(uptime + MINUTE), DAY + MINUTE + TICK.cast_unsigned());
        }
    }

    /// For any uptime, running time, lag of the coarse clock and pause between the two first readings.
    #[test]
    fn bound_is_ahead_by_two_ticks_at_most() {
        let tick = TICK.cast_unsigned();
        let mut numbers = Numbers(1);
        for _ in 0..100_000 {
            // Any magnitude is as likely as any other.
            let mut any = |most: u64| (numbers.next() >> (numbers.next() % 64)) % (most + 1);
            let (uptime, origin, running) = (any(1_000 * DAY), any(2 * DAY), any(1_000 * DAY));
            let (lag, pause) = (any(tick).min(uptime + running), any(tick));
            let now = origin + pause + running;
            let latest = Offset::new(uptime, origin + pause)
                .upper_bound(uptime + pause + running - lag.min(pause + running));
            assert!(latest >= now, "the bound is {} ns too early", now - latest);
            assert!(latest - now <= 2 * tick, "the bound is {} ns ahead", latest - now);
        }
    }

    /// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }
    }
}
