//! A value in memory with its lifetime and its tags.

use std::sync::Arc;
use std::time::Duration;

use super::age::{Age, Freshness, State};
use super::tags::TagSnapshot;
use crate::util::Moment;

/// A value in memory.
#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    fresh_until: Moment,
    /// How long the value is fresh in all, in seconds. The seven digits of an `f32` are enough for an age.
    lifetime: f32,
    /// How long the computation took, in seconds.
    compute_time: f32,
    tags: Option<Arc<TagSnapshot>>,
}

impl<V> Entry<V> {
    pub(crate) fn new(
        value: V,
        ttl: Duration,
        compute_time: Duration,
        tags: Option<Arc<TagSnapshot>>,
    ) -> Self {
        let now = Moment::now();
        let fresh_until = now.after(ttl);
        // Not `ttl`: `after` saturates.
        let lifetime = fresh_until.since(now).as_secs_f32();
        Self { value, fresh_until, lifetime, compute_time: compute_time.as_secs_f32(), tags }
    }

    /// Returns `true` if the entry answers a call and nothing else is to be done: it is fresh, it is not in the last
    /// part of its lifetime in which it may be refreshed, and none of its tags was invalidated.
    #[inline]
    pub(crate) fn is_plain_hit(&self, refresh_ahead: Option<f32>) -> bool {
        let end = match refresh_ahead {
            None => self.fresh_until,
            Some(window) => self.fresh_until.before(duration(self.lifetime * window)),
        };
        !end.has_passed() && self.is_current()
    }

    /// Returns `true` if none of its tags was invalidated since its computation began.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.is_current())
    }

    pub(crate) fn fresh_until(&self) -> Moment {
        self.fresh_until
    }

    /// Returns the entry as if its lifetime ended now.
    pub(crate) fn into_stale(mut self) -> Self {
        let now = Moment::now();
        self.lifetime -= self.fresh_until.since(now).as_secs_f32();
        self.fresh_until = self.fresh_until.min(now);
        self
    }

    #[cold]
    pub(crate) fn age(&self) -> Age {
        let now = Moment::now();
        let lifetime = duration(self.lifetime);
        let (freshness, elapsed) = if now < self.fresh_until {
            let left = self.fresh_until.since(now);
            (Freshness::Fresh(left), lifetime.saturating_sub(left))
        } else {
            let past = now.since(self.fresh_until);
            (Freshness::Stale(past), lifetime.saturating_add(past))
        };
        Age { elapsed, freshness, lifetime, compute_time: duration(self.compute_time) }
    }
}

/// A value that was found in a tier.
#[derive(Clone, Debug)]
pub(crate) struct CachedValue<V> {
    pub(crate) value: V,
    pub(crate) age: Age,
    pub(crate) state: State,
}

fn duration(seconds: f32) -> Duration {
    Duration::try_from_secs_f32(seconds).unwrap_or(Duration::MAX)
}
