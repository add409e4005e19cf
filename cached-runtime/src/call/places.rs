//! The bound on the computations of a function that run at a time: `max_concurrent`.

use std::pin::pin;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::flight::Flight;
use super::liveness::HEARTBEAT_INTERVAL;
use crate::util::timer;

/// The places of computations.
#[derive(Debug)]
pub(crate) struct Places {
    free: Semaphore,
    /// Wakes those that wait, when the result of one of them is needed by a computation that has a place.
    needed: Notify,
}

/// The place of one computation, until it is dropped.
pub(crate) type Place = SemaphorePermit<'static>;

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Semaphore::new(count.min(Semaphore::MAX_PERMITS)), needed: Notify::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Returns a place if one is free, and nobody waits for one.
    pub(super) fn try_take(&'static self) -> Option<Place> {
        self.free.try_acquire().ok()
    }

    /// Lets the leader of a flight compute without a place, because a computation that has one waits for it.
    pub(super) fn need<K, S, H>(&self, flight: &Flight<K, S, H>) {
        flight.mark_needed();
        self.needed.notify_waiters();
    }

    /// Waits for a place, in the order of the calls; returns `None` if there is none at a point in time, or the call is to
    /// compute without one.
    ///
    /// Meanwhile the leader of the flight counts as alive, so its followers and the lease are kept.
    pub(super) async fn take<K, S, H>(
        &'static self,
        flight: &Flight<K, S, H>,
        end: Instant,
    ) -> Option<Place> {
        let mut taking = pin!(self.free.acquire());
        loop {
            let mut needed = pin!(self.needed.notified());
            needed.as_mut().enable();
            let next_check = end.min(Instant::now() + HEARTBEAT_INTERVAL);
            if flight.is_needed() || Instant::now() >= end {
                return None;
            }
            let place = async {
                tokio::select! {
                    biased;
                    taken = taking.as_mut() => taken.ok(),
                    () = needed => None,
                }
            };
            if let Some(Some(place)) = timer::timeout_at(next_check, place).await {
                return Some(place);
            }
            // The budget of its followers begins with the body.
            flight.liveness.record_body(Instant::now());
        }
    }
}
