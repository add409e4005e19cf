//! A value in memory with its lifetime and its tags.

use std::sync::Arc;
use std::time::Duration;

use super::age::{Age, Freshness, State};
use super::number::to_word;
use super::numbers::Number;
use super::tags::{TagSnapshot, TagState};
use crate::util::{AtomicMoment, Moment};

/// A value in memory.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    stored_at: Moment,
    /// Brought forward when the entry is expired.
    fresh_until: AtomicMoment,
    /// How long the computation took, in seconds. The seven digits of an `f32` are enough for that.
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
        let stored_at = Moment::now();
        let fresh_until = AtomicMoment::new(stored_at.after(ttl));
        Self { value, stored_at, fresh_until, compute_time: compute_time.as_secs_f32(), tags }
    }

    /// Returns an entry without tags, of a function that needs no compute times.
    pub(super) const fn plain(value: V, stored_at: Moment, fresh_until: Moment) -> Self {
        Self { value, stored_at, fresh_until: AtomicMoment::new(fresh_until), compute_time: 0.0, tags: None }
    }

    /// Returns what [`plain`](Self::plain) makes an entry of, if the value is a number.
    pub(super) fn to_number(&self) -> Option<Number>
    where
        V: 'static,
    {
        debug_assert!(self.tags.is_none(), "an entry in a table of numbers has no tags");
        let value = to_word(&self.value)?;
        Some(Number { value, stored_at: self.stored_at, fresh_until: self.fresh_until() })
    }

    /// Returns `true` if the entry answers a call and nothing else is to be done: it is fresh, it is not in the last
    /// part of its lifetime in which it may be refreshed, and none of its tags was invalidated.
    #[inline]
    pub(crate) fn is_plain_hit(&self, refresh_ahead: Option<f32>) -> bool {
        let fresh_until = self.fresh_until();
        let end = match refresh_ahead {
            None => fresh_until,
            Some(window) => fresh_until.before(fresh_until.since(self.stored_at).mul_f32(window)),
        };
        !end.has_passed() && self.is_current()
    }

    /// Returns `true` if none of its tags was invalidated or expired since its computation began.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.is_current())
    }

    /// Returns `true` if none of its tags was invalidated since its computation began. If one was expired, the lifetime has
    /// ended then.
    #[cold]
    pub(crate) fn is_usable(&self) -> bool {
        match self.tags.as_ref().map_or(TagState::Current, |tags| tags.state()) {
            TagState::Current => true,
            TagState::Expired(at) => {
                self.fresh_until.bring_forward(at);
                true
            }
            TagState::Invalidated => false,
        }
    }

    #[inline]
    pub(crate) fn fresh_until(&self) -> Moment {
        self.fresh_until.get()
    }

    /// Ends the lifetime of the entry now; returns its new end.
    pub(super) fn expire(&self) -> Moment {
        self.fresh_until.bring_forward(Moment::now());
        self.fresh_until()
    }

    #[cold]
    pub(crate) fn age(&self) -> Age {
        let (now, fresh_until) = (Moment::now(), self.fresh_until());
        // Not the ttl: `Moment::after` saturates, and the entry may have been expired.
        let lifetime = fresh_until.since(self.stored_at);
        let (freshness, elapsed) = if now < fresh_until {
            let left = fresh_until.since(now);
            (Freshness::Fresh(left), lifetime.saturating_sub(left))
        } else {
            let past = now.since(fresh_until);
            (Freshness::Stale(past), lifetime.saturating_add(past))
        };
        let compute_time = Duration::try_from_secs_f32(self.compute_time).unwrap_or(Duration::MAX);
        Age { elapsed, freshness, lifetime, compute_time }
    }
}

/// A value that was found in a tier.
#[derive(Clone, Debug)]
pub(crate) struct CachedValue<V> {
    pub(crate) value: V,
    pub(crate) age: Age,
    pub(crate) state: State,
}
