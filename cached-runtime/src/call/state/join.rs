//! How a call takes part in the flight of its key.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::{CallState, Part, Purpose};
use crate::BoxFuture;
use crate::call::flight::{Flight, Follower, Waited};
use crate::call::flights::Joined;
use crate::call::follower_result::FlightOutput;
use crate::call::instance_cache::Tiers;
use crate::call::steps::{Join, Next, Waiting};
use crate::lookup::Origin;
use crate::policy::SingleFlight;
use crate::shared::HeldLease;
use crate::signature::{KeyType, ReturnKind};

/// After waiting so often in vain, a call computes in its own right.
const PATIENCE: u8 = 2;

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn join(&mut self) -> Join<O::Output> {
        let flights = &self.cache.flights;
        let is_refresh = self.purpose == Purpose::Refresh;
        if self.disappointments >= PATIENCE || self.cache.policy.flight() == SingleFlight::Off {
            if is_refresh {
                flights.invalidate(&self.key, || ());
            }
            self.part = Part::Alone { invalidations: flights.invalidations(&self.key) };
            self.begin();
            return Join::Compute;
        }
        if is_refresh {
            let flight = flights.supersede(&self.key);
            self.lead(&flight);
            return Join::Compute;
        }
        match flights.join(&self.key, || self.cache.settled(&self.key)) {
            Joined::Settled((output, origin)) => {
                self.cache.counters.joined.add(1);
                self.origin = origin;
                Join::Settled(output)
            }
            Joined::Leads(flight) => {
                self.lead(&flight);
                Join::Compute
            }
            Joined::Follows(follower) => {
                self.followed = Some(Arc::clone(&follower.flight));
                Join::Wait(self.wait(follower))
            }
            Joined::Recurses => {
                self.part = Part::Inside;
                Join::Compute
            }
        }
    }

    pub(super) fn renews(&mut self) -> bool {
        self.purpose = Purpose::BackgroundRefresh;
        // What it brings has nothing to do with what it answered.
        (self.fallback, self.origin) = (None, Origin::COMPUTED);
        if !self.may_try() {
            return false;
        }
        let newer = || self.cache.until(&self.key).filter(|until| Some(*until) > self.replaces);
        match self.cache.flights.join(&self.key, newer) {
            Joined::Leads(flight) => {
                self.lead(&flight);
                true
            }
            Joined::Settled(_) | Joined::Follows(_) | Joined::Recurses => false,
        }
    }

    pub(super) fn lead(&mut self, flight: &Arc<Flight<FlightOutput<O>, HeldLease>>) {
        if let Some(followed) = self.followed.take() {
            self.held = followed.take_handoff();
        }
        self.part = Part::Leads(Arc::clone(flight));
        self.begin();
        // In a shared store it has the lease, which whoever comes would have to wait for.
        if let (Tiers::Memory(_), Some(tagged)) = (&self.cache.tiers, &self.tagged) {
            flight.ends_with(tagged.clone());
        }
    }

    /// From here on it counts what is invalidated: the body has not begun yet.
    pub(super) fn begin(&mut self) {
        self.tagged = self.cache.tagged(&self.tags);
        self.body_begins();
    }

    pub(super) fn body_begins(&mut self) {
        self.computing_since = Instant::now();
        if let Part::Leads(flight) = &self.part {
            flight.body_begins();
        }
    }

    pub(super) fn wait(
        &self,
        follower: Follower<FlightOutput<O>, HeldLease>,
    ) -> BoxFuture<'static, Waiting<O::Output>> {
        let turn = self.turn;
        Box::pin(async move {
            match follower.wait(turn).await {
                Waited::Landed(landed) => match Arc::unwrap_or_clone(landed) {
                    FlightOutput::Output(shared, origin) => Waiting::Output(O::from_shared(shared), origin),
                    FlightOutput::TimeoutOutput(timed_out) => Waiting::TimeoutOutput(timed_out),
                },
                Waited::Failed => Waiting::Failed,
                Waited::Outdated => Waiting::Outdated,
                Waited::Abandoned => Waiting::Abandoned,
                Waited::TooLong => Waiting::TooLong,
            }
        })
    }

    pub(super) fn waited(&mut self, waited: Waiting<O::Output>) -> Next<O::Output> {
        match waited {
            Waiting::Output(output, origin) => {
                self.cache.counters.joined.add(1);
                self.origin = origin;
                let failed = O::is_err(&output);
                let old = if failed { self.fall_back(self.cache.policy.stale_if_error) } else { None };
                return Next::Return(old.unwrap_or(output));
            }
            Waiting::TimeoutOutput(timed_out) => {
                self.cache.counters.joined.add(1);
                let old = self.fall_back(self.cache.policy.retention());
                return Next::Return(old.unwrap_or_else(timed_out));
            }
            Waiting::Failed => {
                if let Some(old) = self.fall_back(self.cache.policy.stale_if_error) {
                    self.cache.counters.joined.add(1);
                    return Next::Return(old);
                }
                self.disappointments += 1;
                self.failed = true;
            }
            Waiting::Outdated => return Next::Look,
            Waiting::Abandoned => {}
            Waiting::TooLong => {
                if let Some(flight) = &self.followed {
                    self.cache.flights.withdraw(&self.key, flight);
                }
            }
        }
        Next::Join
    }

    pub(super) fn interest(&self) -> Option<Box<dyn fmt::Debug + Send>> {
        match &self.part {
            Part::Leads(flight) => Some(Box::new(Interest(flight.follow()))),
            Part::None | Part::Alone { .. } | Part::Inside => None,
        }
    }

    pub(super) fn deserted(&self) -> BoxFuture<'static, ()> {
        match &self.part {
            Part::Leads(flight) => {
                let flight = Arc::clone(flight);
                Box::pin(async move { flight.deserted().await })
            }
            // It has one caller, who stops it.
            Part::None | Part::Alone { .. } | Part::Inside => Box::pin(std::future::pending()),
        }
    }
}

/// A caller of a detached computation.
struct Interest<S, B>(#[allow(dead_code, reason = "it counts as long as it lives")] Follower<S, B>);

impl<S, B> fmt::Debug for Interest<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interest")
    }
}
