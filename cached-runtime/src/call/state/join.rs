//! The step that joins the flight of the key, as its leader or as a follower, and continues after the wait for it.

use std::fmt;
use std::future::pending;
use std::sync::Arc;

use tokio::time::Instant;

use super::{CallState, Purpose, Role};
use crate::call::detached::AbandonedPlace;
use crate::call::flight::{FlightEnd, Follower};
use crate::call::flights::{Attempt, Joined};
use crate::call::follower_result::{CallFlight, FlightOutput};
use crate::call::instance_cache::{InstanceCache, Tiers};
use crate::call::poll_guard::polling_flights;
use crate::call::steps::{Join, Next, WaitEnd};
use crate::call::wait_graph::{FlightId, Wait};
use crate::lookup::Origin;
use crate::policy::{Abandoned, SingleFlight};
use crate::shared::HeldLease;
use crate::signature::{KeyType, ReturnKind};
use crate::util::{limits, timer};
use crate::{BoxFuture, measure, trace};

/// After this many failed waits a call computes beside others. The first failure costs one computation more, whether or
/// not it is the last one; from the second on it is the function that fails.
const FAILED_WAITS_BEFORE_RETRIES: u8 = 2;
/// After this many requests for leases of keys that were filled a call computes independently.
const MAX_FILLED_LEASES: u8 = 2;

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn join(&mut self) -> Join<O::Output> {
        let flights = &self.cache.flights;
        if self.purpose == Purpose::Uncached {
            return self.compute_without_flight();
        }
        if let Some(stale) = self.stale_beyond_places() {
            return Join::Cached(stale);
        }
        let is_independent = self.cache.policy.single_flight() == SingleFlight::Off
            || self.filled_leases >= MAX_FILLED_LEASES
            || (self.has_leader_failed() && self.started_at().elapsed() >= limits::WAIT_BUDGET.time());
        if is_independent {
            return self.compute_independently();
        }
        if self.purpose == Purpose::Refresh {
            let flight = flights.supersede(&self.key);
            self.lead(&flight);
            return Join::Compute;
        }
        let attempt = if self.failed_waits < FAILED_WAITS_BEFORE_RETRIES {
            Attempt::Alone
        } else {
            Attempt::BesideOthers
        };
        let read = self.cache.reader(&self.key);
        let mut found = None; // Dropped after the lock is released.
        let joined = flights.join(&self.key, attempt, || {
            found = read();
            found.as_ref().is_some_and(|stored| InstanceCache::<K, O>::is_fresh(&stored.entry)).then_some(())
        });
        match joined {
            Joined::Cached(()) => {
                let output = found.and_then(|stored| self.cache.output(&self.key, &stored));
                // Another key with the same hash is cached.
                let Some((output, origin)) = output else { return self.compute_independently() };
                self.count_joined();
                self.origin = origin;
                Join::Cached(output)
            }
            Joined::Leader(flight) => {
                self.lead(&flight);
                Join::Compute
            }
            Joined::Follower(follower) => {
                match Wait::begin(polling_flights(), FlightId::of(&follower.flight)) {
                    Some(wait) => {
                        self.started_at.get_or_insert_with(Instant::now);
                        self.need(&follower.flight);
                        self.followed = Some(Arc::clone(&follower.flight));
                        Join::Wait(self.wait(follower, wait))
                    }
                    // That flight waits for the computation that makes this call.
                    None => self.compute_without_flight(),
                }
            }
            Joined::Recursive => self.compute_without_flight(),
        }
    }

    /// Computes without a flight: because caching is off, or on behalf of a computation of the same key, which stores the result.
    fn compute_without_flight(&mut self) -> Join<O::Output> {
        self.role = Role::Recursive;
        self.mark_body_begun(Instant::now());
        Join::Compute
    }

    /// Computes without followers.
    fn compute_independently(&mut self) -> Join<O::Output> {
        self.role = Role::Independent(self.cache.flights.begin_independent(&self.key));
        self.begin();
        Join::Compute
    }

    pub(super) fn begin_background_refresh(&mut self) -> bool {
        self.purpose = Purpose::BackgroundRefresh;
        // The next value does not depend on the one that was returned.
        (self.stale_value, self.origin) = (None, Origin::COMPUTED);
        if !self.has_place_for_refresh() || self.cache.try_begin(&self.key).is_none() {
            return false;
        }
        let read = self.cache.reader(&self.key);
        let mut found = None; // Dropped after the lock is released.
        let newer = || {
            found = read();
            let current = found.as_ref().filter(|stored| stored.entry.is_current())?;
            (Some(current.entry.fresh_until()) > self.found_fresh_until).then_some(())
        };
        match self.cache.flights.join(&self.key, Attempt::Alone, newer) {
            Joined::Leader(flight) => {
                self.lead(&flight);
                true
            }
            Joined::Cached(()) | Joined::Follower(_) | Joined::Recursive => false,
        }
    }

    /// Becomes the leader of a flight, and takes over the lease if the flight that it followed was abandoned or failed.
    fn lead(&mut self, flight: &Arc<CallFlight<K, O>>) {
        if let Some(lease) = self.followed.take().and_then(|followed| followed.take_left_lease()) {
            flight.hold(lease);
        }
        self.role = Role::Leader(Arc::clone(flight));
        self.begin();
        // With a shared store calls still join after a tag was invalidated: the flight holds the lease, so a second
        // flight would have to wait for it.
        if let (Tiers::Memory(_), Some(tags)) = (&self.cache.tiers, &self.tag_snapshot) {
            flight.set_tags(tags.clone());
        }
    }

    /// Takes the snapshot of the tags: an invalidation from here on discards the result. The body has not begun yet.
    fn begin(&mut self) {
        self.tag_snapshot = self.cache.tag_snapshot(&self.tags);
        // The flight has just begun: the clock need not be read again.
        let now = self.role.flight().map_or_else(Instant::now, |flight| flight.liveness.began_at());
        self.mark_body_begun(now);
    }

    pub(super) fn mark_body_begun(&mut self, now: Instant) {
        self.started_at.get_or_insert(now);
        self.compute_started_at = Some(now);
        if let Some(flight) = self.role.flight() {
            flight.mark_body_begun(now);
        }
    }

    fn wait(
        &self,
        follower: Follower<K, FlightOutput<O>, HeldLease>,
        wait: Wait,
    ) -> BoxFuture<'static, WaitEnd<O::Output>> {
        let (sequence, kind) = (self.sequence, self.cache.options.kind);
        // Each of several flights in turn could fail, so the wait for all of them is bounded.
        let deadline = self.has_leader_failed().then(|| self.started_at() + limits::WAIT_BUDGET.time());
        Box::pin(async move {
            let _wait = wait;
            let end = match deadline {
                Some(deadline) => {
                    timer::timeout_at(deadline, follower.wait(sequence)).await.unwrap_or(FlightEnd::Failed)
                }
                None => follower.wait(sequence).await,
            };
            match end {
                FlightEnd::Completed(output) => match Arc::unwrap_or_clone(output) {
                    FlightOutput::Output(shared, origin) => {
                        WaitEnd::Output(kind.output_of_shared(shared), origin)
                    }
                    FlightOutput::TimeoutOutput(timed_out) => WaitEnd::TimeoutOutput(timed_out),
                },
                FlightEnd::Failed => WaitEnd::Failed,
                FlightEnd::Outdated => WaitEnd::Outdated,
                FlightEnd::Abandoned => WaitEnd::Abandoned,
                FlightEnd::Stalled => WaitEnd::Stalled,
            }
        })
    }

    pub(super) fn on_wait_ended(&mut self, end: WaitEnd<O::Output>) -> Next<O::Output> {
        measure::wait(&self.cache.namespace, self.started_at().elapsed());
        match end {
            WaitEnd::Output(output, origin) => {
                self.count_joined();
                let is_err = O::is_err(&output);
                self.origin = if is_err { Origin::SHARED_ERROR } else { origin };
                let stale =
                    if is_err { self.take_stale(self.cache.policy.stale_if_error_now()) } else { None };
                return Next::Return(stale.unwrap_or(output));
            }
            WaitEnd::TimeoutOutput(timed_out) => {
                self.count_joined();
                self.origin = Origin::SHARED_ERROR;
                let stale = self.take_stale(self.cache.policy.retention());
                return Next::Return(stale.unwrap_or_else(timed_out));
            }
            WaitEnd::Failed => {
                if let Some(stale) = self.take_stale(self.cache.policy.stale_if_error_now()) {
                    self.count_joined();
                    return Next::Return(stale);
                }
                self.failed_waits = self.failed_waits.saturating_add(1);
            }
            WaitEnd::Outdated | WaitEnd::Stalled => return Next::ReadShared,
            WaitEnd::Abandoned => {}
        }
        Next::Join
    }

    /// Counts the call as one that another call's computation answers.
    fn count_joined(&self) {
        self.cache.counters.joined.add(1);
        trace::joined(&self.cache.namespace, || self.cache.display_key(&self.key));
    }

    pub(super) fn caller_guard(&self) -> Option<Box<dyn fmt::Debug + Send>> {
        let flight = self.role.flight()?;
        let wait = Wait::begin(polling_flights(), FlightId::of(flight));
        Some(Box::new(CallerGuard { _follower: flight.follow(), _wait: wait }))
    }

    pub(super) fn abandoned(&self) -> BoxFuture<'static, ()> {
        let Some(flight) = self.role.flight().map(Arc::clone) else { return Box::pin(pending()) };
        let (policy, counters) = (self.cache.policy, self.cache.counters);
        Box::pin(async move {
            flight.without_followers().await;
            if policy.abandoned == Abandoned::Stops {
                return;
            }
            let Some(_place) = AbandonedPlace::take() else { return };
            counters.abandoned.add(1);
            if policy.timeout_now().is_some() {
                pending::<()>().await;
            }
            loop {
                timer::sleep(limits::ABANDONED_TIMEOUT.time()).await;
                if flight.followers() == 0 {
                    return;
                }
            }
        })
    }
}

/// Counts as a caller of a detached computation while it lives, because it follows the flight.
struct CallerGuard<K, S, H> {
    _follower: Follower<K, S, H>,
    _wait: Option<Wait>,
}

impl<K, S, H> fmt::Debug for CallerGuard<K, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerGuard").finish_non_exhaustive()
    }
}
