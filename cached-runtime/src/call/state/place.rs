//! The step that takes a place among the computations of the function that may run at a time.

use std::sync::Arc;

use tokio::time::Instant;

use super::{CallState, Purpose};
use crate::BoxFuture;
use crate::call::follower_result::CallFlight;
use crate::call::places::Place;
use crate::lookup::Source;
use crate::signature::{KeyType, ReturnKind};
use crate::trace;
use crate::util::limits;

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    /// Returns the stale value, if all places are taken: the call does not wait for one then.
    ///
    /// Otherwise notes whether it may wait. A call that a computation of the function makes may not: that computation has a
    /// place, and would wait for itself. This is decided here, before the call may move to a task of its own.
    pub(super) fn stale_beyond_places(&mut self) -> Option<O::Output> {
        let places = self.cache.places.as_ref()?;
        self.is_nested = self.cache.flights.is_polling_any();
        if self.purpose != Purpose::Answer || !places.is_full() {
            return None;
        }
        let stale = self.take_stale(self.cache.policy.retention())?;
        if let Some(permission) = self.permission.take() {
            self.cache.backoff.give_back(self.cache.flights.hash(&self.key), permission);
        }
        self.cache.counters.stale_hits.add(1);
        trace::hit(&self.cache.namespace, Source::Stale, || self.cache.display_key(&self.key));
        Some(stale)
    }

    /// Follows a flight: if the call may not wait for a place, neither may that flight.
    pub(super) fn need(&self, flight: &CallFlight<K, O>) {
        if let (Some(places), true) = (&self.cache.places, self.is_nested) {
            places.need(flight);
        }
    }

    /// Takes a place for a refresh in the background, which does not wait for one; returns `false` if all are taken.
    pub(super) fn has_place_for_refresh(&mut self) -> bool {
        let Some(places) = &self.cache.places else { return true };
        self.place = places.try_take();
        self.place.is_some()
    }

    pub(super) fn take_place(&mut self) -> Option<BoxFuture<'static, Option<Place>>> {
        let places = self.cache.places.as_ref()?;
        // A recursive computation has no flight: it runs on behalf of one that has a place.
        let flight = Arc::clone(self.role.flight()?);
        self.place = places.try_take();
        if self.place.is_some() || self.is_nested {
            return None;
        }
        let end = self.started_at() + limits::WAIT_BUDGET.time();
        Some(Box::pin(async move { places.take(&flight, end).await }))
    }

    pub(super) fn on_place(&mut self, place: Option<Place>) {
        self.place = place;
        self.mark_body_begun(Instant::now());
    }
}
