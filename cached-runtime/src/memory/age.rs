//! How old a value is, and what it may be used for.

use std::time::Duration;

use crate::util::random;

/// The age of a value: in memory by the clock of the process, in a shared store by the system clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Age {
    /// The time since the value was computed.
    pub(crate) elapsed: Duration,
    pub(crate) freshness: Freshness,
    /// How long the value is fresh in all.
    pub(crate) lifetime: Duration,
    /// How long the computation took.
    pub(crate) compute_time: Duration,
}

/// Whether a value is within its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It is, and for this long.
    Fresh(Duration),
    /// It has not been for this long.
    Stale(Duration),
}

/// What a value may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It answers a call.
    Fresh,
    /// It answers a call, and the next value is to be computed in the background.
    Due,
    /// It has not been fresh for this long: `stale_while_revalidate` and `stale_if_error` decide.
    Stale(Duration),
    /// It is not returned any more.
    Expired,
}

impl Age {
    /// Returns for how long the value is fresh.
    pub(crate) const fn fresh_for(&self) -> Duration {
        match self.freshness {
            Freshness::Fresh(left) => left,
            Freshness::Stale(_) => Duration::ZERO,
        }
    }

    /// Returns what the value may be used for if it is kept for `retention` after its lifetime, and refreshed early in
    /// the last part of its lifetime, the fraction `refresh_ahead`.
    pub(crate) fn state(&self, retention: Duration, refresh_ahead: Option<f32>) -> State {
        match self.freshness {
            Freshness::Fresh(left) => match refresh_ahead {
                Some(window) if self.is_due(left, window, random::fraction()) => State::Due,
                _ => State::Fresh,
            },
            Freshness::Stale(past) if past < retention => State::Stale(past),
            Freshness::Stale(_) => State::Expired,
        }
    }

    /// Returns whether to compute the next value now, by `XFetch` (Vattani, Chierichetti, Lowenstein: "Optimal
    /// Probabilistic Cache Stampede Prevention", VLDB 2015) with a beta of 1.
    ///
    /// The probability grows with the compute time and as the time that is left shrinks; `fraction` is the random
    /// number. Unlike there, it is zero before the last part of the lifetime, the fraction `window`.
    fn is_due(&self, left: Duration, window: f32, fraction: f64) -> bool {
        left <= self.lifetime.mul_f32(window)
            && self.compute_time.as_secs_f64() * -fraction.ln() >= left.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(left: Duration) -> Age {
        let lifetime = Duration::from_secs(100);
        Age {
            elapsed: lifetime.saturating_sub(left),
            freshness: Freshness::Fresh(left),
            lifetime,
            compute_time: Duration::from_secs(2),
        }
    }

    #[test]
    fn refresh_becomes_more_likely_towards_the_end_of_the_lifetime() {
        let is_due = |left, fraction| fresh(left).is_due(left, 0.2, fraction);
        let second = Duration::from_secs(1);
        // The probability is one half when 1.386 s are left: the compute time times ln 2.
        assert!(is_due(second, 0.5) && !is_due(2 * second, 0.5));
        assert!(is_due(2 * second, 0.3) && !is_due(10 * second, 0.3));
        assert!(is_due(18 * second, 0.000_1));
        assert!(is_due(Duration::ZERO, 1.0));
    }

    #[test]
    fn value_is_never_due_before_the_window() {
        assert!(!fresh(Duration::from_secs(21)).is_due(Duration::from_secs(21), 0.2, f64::MIN_POSITIVE));
        assert!(fresh(Duration::from_secs(20)).is_due(Duration::from_secs(20), 0.2, f64::MIN_POSITIVE));
    }

    #[test]
    fn value_is_stale_until_its_retention_ends() {
        let state = |past, retention| {
            Age { freshness: Freshness::Stale(past), ..fresh(Duration::ZERO) }
                .state(Duration::from_secs(retention), Some(1.0))
        };
        let almost = Duration::from_millis(8_999);
        assert_eq!(state(almost, 9), State::Stale(almost));
        assert_eq!(state(Duration::from_secs(9), 9), State::Expired);
        assert_eq!(state(Duration::ZERO, 0), State::Expired);
    }
}
