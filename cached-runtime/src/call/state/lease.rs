//! The step that acquires the lease of the key in the shared store.

use std::future::ready;
use std::sync::Arc;

use tokio::time::Instant;

use super::{CallState, Purpose, Role};
use crate::BoxFuture;
use crate::call::flights::Ends;
use crate::call::{keeper, lease_wait};
use crate::policy::SingleFlight;
use crate::shared::{LeaseAnswer, Tier};
use crate::signature::{KeyType, ReturnKind};

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn acquire_lease(&mut self) -> Option<BoxFuture<'static, LeaseAnswer>> {
        let tier = self.tier()?;
        let flight = Arc::clone(self.role.flight()?);
        let acquiring = match flight.take_lease() {
            Some(inherited) => Box::pin(ready(LeaseAnswer::Acquired(inherited))),
            None => self.request_lease(tier)?,
        };
        Some(Box::pin(async move {
            let answer = acquiring.await;
            if let LeaseAnswer::Acquired(lease) = &answer {
                keeper::start(&flight, lease.keep_alive()).await;
            }
            answer
        }))
    }

    fn request_lease(&mut self, tier: &'static Tier<K, O::Value>) -> Option<BoxFuture<'static, LeaseAnswer>> {
        if !self.is_worth_a_lease() {
            return None;
        }
        let request = match self.purpose {
            Purpose::Answer | Purpose::BackgroundRefresh => {
                let has_stale = self.has_stale(self.cache.policy.stale_if_error_now());
                self.lease_request.take()?.with_fallback(has_stale)
            }
            // Not reached: such a call has no role that takes a lease.
            Purpose::Uncached => return None,
            Purpose::Refresh => tier.replace_request(&self.key, &self.tags)?,
        };
        Some(match (&self.role, self.cache.policy.single_flight(), self.purpose) {
            (Role::Leader(flight), SingleFlight::Fleet, Purpose::Answer) if !self.has_leader_failed() => {
                let (flight, started_at) = (Arc::clone(flight), self.started_at());
                Box::pin(async move { lease_wait::acquire(tier, request, &flight, started_at).await })
            }
            _ => Box::pin(tier.acquire(request)),
        })
    }

    /// Returns `false` for a retry beside others, one of which has the lease or has asked for it.
    fn is_worth_a_lease(&self) -> bool {
        !self.has_leader_failed()
            || match &self.role {
                Role::Leader(flight) => self.cache.flights.is_alone(flight),
                Role::None | Role::Independent(_) | Role::Recursive => false,
            }
    }

    pub(super) fn on_lease_answer(&mut self, answer: LeaseAnswer) -> bool {
        match answer {
            LeaseAnswer::Acquired(lease) => {
                if let Some(flight) = self.role.flight() {
                    flight.hold(lease);
                }
            }
            // Without a lease the next value could not be stored: another process computes it, or the store is down.
            LeaseAnswer::Busy(_)
            | LeaseAnswer::NotStorable
            | LeaseAnswer::Unavailable
            | LeaseAnswer::Overloaded
                if self.purpose == Purpose::BackgroundRefresh =>
            {
                return false;
            }
            LeaseAnswer::Busy(_)
            | LeaseAnswer::NotStorable
            | LeaseAnswer::Unavailable
            | LeaseAnswer::Overloaded => {}
            LeaseAnswer::Filled => return self.read_again(),
            LeaseAnswer::Failed => {
                // As after a failure in this process, the stale value is returned until it is time for a retry.
                self.record_failure();
                return self.read_again();
            }
        }
        self.mark_body_begun(Instant::now());
        true
    }

    /// Ends the flight; returns `false`, because the call does not compute now.
    ///
    /// Followers read by themselves: they may have called after the new value was invalidated.
    fn read_again(&mut self) -> bool {
        if let Role::Leader(flight) = std::mem::replace(&mut self.role, Role::None) {
            self.cache.flights.withdraw(&flight, Ends::One);
            flight.mark_outdated();
        }
        // So a call computes in the end if the key is filled and emptied again and again.
        self.filled_leases += 1;
        false
    }
}
