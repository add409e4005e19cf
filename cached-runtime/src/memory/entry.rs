//! A value with its lifetime: fresh, due for a refresh, stale, or expired.

use std::sync::Arc;
use std::time::Duration;

use super::tags::TagSnapshot;
use crate::util::Moment;
use crate::util::random;

/// A value in memory.
#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    /// Until when it is fresh.
    until: Moment,
    /// How long it was to be fresh, in seconds; seven digits are enough for an age.
    life: f32,
    /// How long it took to compute, in seconds.
    cost: f32,
    /// What it can be invalidated by together with others.
    tags: Option<Arc<TagSnapshot>>,
}

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

impl<V> Entry<V> {
    pub(crate) fn new(value: V, ttl: Duration, cost: Duration, tags: Option<Arc<TagSnapshot>>) -> Self {
        let now = Moment::now();
        let until = now.after(ttl);
        // Not `ttl`: there is an end to what can be told.
        Self { value, until, life: until.since(now).as_secs_f32(), cost: cost.as_secs_f32(), tags }
    }

    /// Whether it is the answer and nothing else is to be done: it is fresh, it is not in the last part of its life in
    /// which it may be refreshed, and none of its tags was invalidated.
    #[inline]
    pub(crate) fn is_plain_hit(&self, refresh_ahead: Option<f32>) -> bool {
        let end = match refresh_ahead {
            None => self.until,
            Some(window) => self.until.before(seconds(self.life * window)),
        };
        !end.has_come() && self.is_current()
    }

    /// Whether none of its tags was invalidated.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.is_current())
    }

    /// Until when it is fresh.
    pub(crate) fn fresh_until(&self) -> Moment {
        self.until
    }

    /// The same, fresh no longer.
    pub(crate) fn expired(mut self) -> Self {
        let now = Moment::now();
        self.life -= self.until.since(now).as_secs_f32();
        self.until = self.until.min(now);
        self
    }

    #[cold]
    pub(crate) fn age(&self) -> Age {
        let now = Moment::now();
        let life = seconds(self.life);
        let (left, age) = if now < self.until {
            let left = self.until.since(now);
            (Freshness::Fresh(left), life.saturating_sub(left))
        } else {
            let past = now.since(self.until);
            (Freshness::Stale(past), life.saturating_add(past))
        };
        Age { since: age, left, life, cost: seconds(self.cost) }
    }
}

/// What a computation leaves under its key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WriteAction<T> {
    Store(T),
    /// Nothing: what was there has given way to an answer that is not kept.
    Remove,
    /// What is there, as it has brought nothing better.
    Keep,
}

impl<T> WriteAction<T> {
    /// The same with something else for the value, if there is that: else nothing is left.
    pub(crate) fn filter_map<U>(self, value: impl FnOnce(T) -> Option<U>) -> WriteAction<U> {
        match self {
            Self::Store(old) => value(old).map_or(WriteAction::Remove, WriteAction::Store),
            Self::Remove => WriteAction::Remove,
            Self::Keep => WriteAction::Keep,
        }
    }
}

/// What became of a value that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// It is stored, or could have been: nothing was invalidated while it was computed.
    Stored,
    /// The lease was lost, or everything was cleared: what was computed may be from before that.
    Rejected,
    /// The store failed, or was not asked.
    Unknown,
}

/// What was found under a key.
#[derive(Clone, Debug)]
pub(crate) struct CachedValue<V> {
    pub(crate) value: V,
    pub(crate) age: Age,
    pub(crate) state: State,
}

fn seconds(seconds: f32) -> Duration {
    Duration::try_from_secs_f32(seconds).unwrap_or(Duration::MAX)
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
