//! How old a value is, and what it is good for.

use std::time::Duration;

use crate::util::random;

/// How old a value is, and how long it was to be fresh. What is in memory has it by the clock of the process, what is in
/// a shared store by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Age {
    /// Since it was computed.
    pub(crate) since: Duration,
    /// How long it is still fresh, or how long it has not been.
    pub(crate) left: Freshness,
    /// How long it was to be fresh.
    pub(crate) life: Duration,
    /// How long it took to compute.
    pub(crate) cost: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh(Duration),
    Stale(Duration),
}

/// What a value is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is the answer.
    Fresh,
    /// It is the answer, and it is time to compute the next one.
    Due,
    /// It is an answer if there is no better one; for so long it has not been fresh.
    Stale(Duration),
    /// It is none.
    Expired,
}

impl Age {
    /// What it is good for, if it is kept for so long after it was fresh and refreshed in the last part of its life.
    pub(crate) fn state(&self, retention: Duration, refresh_ahead: Option<f32>) -> State {
        match self.left {
            Freshness::Fresh(left) => match refresh_ahead {
                Some(window) if self.is_due(left, window, random::fraction()) => State::Due,
                _ => State::Fresh,
            },
            Freshness::Stale(past) if past < retention => State::Stale(past),
            Freshness::Stale(_) => State::Expired,
        }
    }

    /// Whether to compute the next value now, by the algorithm `XFetch` (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache
    /// Stampede Prevention", VLDB 2015) with beta 1: the more likely the less time is left, measured by what it takes to
    /// compute one; but only in the last part of its life, as large as `window` says.
    fn is_due(&self, left: Duration, window: f32, fraction: f64) -> bool {
        left <= self.life.mul_f32(window) && self.cost.as_secs_f64() * -fraction.ln() >= left.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(left: Duration) -> Age {
        let life = Duration::from_secs(100);
        Age {
            since: life.saturating_sub(left),
            left: Freshness::Fresh(left),
            life,
            cost: Duration::from_secs(2),
        }
    }

    #[test]
    fn a_value_is_due_the_likelier_the_less_time_is_left() {
        let is_due = |left, fraction| age(left).is_due(left, 0.2, fraction);
        let second = Duration::from_secs(1);
        // Half of the time when what is left is 1.386 times the half of the cost.
        assert!(is_due(second, 0.5) && !is_due(2 * second, 0.5));
        assert!(is_due(2 * second, 0.3) && !is_due(10 * second, 0.3));
        assert!(is_due(18 * second, 0.000_1));
        assert!(is_due(Duration::ZERO, 1.0));
    }

    #[test]
    fn a_value_is_never_due_before_the_last_part_of_its_life() {
        assert!(!age(Duration::from_secs(21)).is_due(Duration::from_secs(21), 0.2, f64::MIN_POSITIVE));
        assert!(age(Duration::from_secs(20)).is_due(Duration::from_secs(20), 0.2, f64::MIN_POSITIVE));
    }

    #[test]
    fn what_is_no_longer_fresh_is_stale_for_as_long_as_it_is_kept() {
        let state = |past, retention| {
            Age { left: Freshness::Stale(past), ..age(Duration::ZERO) }
                .state(Duration::from_secs(retention), Some(1.0))
        };
        let almost = Duration::from_millis(8_999);
        assert_eq!(state(almost, 9), State::Stale(almost));
        assert_eq!(state(Duration::from_secs(9), 9), State::Expired);
        assert_eq!(state(Duration::ZERO, 0), State::Expired);
    }
}
