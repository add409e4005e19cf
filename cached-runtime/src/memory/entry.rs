//! A value with its lifetime: fresh, due for a refresh, stale, or expired.

use std::sync::Arc;
use std::time::Duration;

use super::age::{Age, Freshness, State};
use super::tags::TagSnapshot;
use crate::util::Moment;

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
