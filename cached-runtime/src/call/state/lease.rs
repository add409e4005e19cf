//! How a call acquires the lease of its key.

use std::sync::Arc;

use super::{CallState, Part, Purpose};
use crate::BoxFuture;
use crate::call::lease_wait;
use crate::policy::SingleFlight;
use crate::shared::LeaseAnswer;
use crate::signature::{KeyType, ReturnKind};

impl<K: KeyType, O: ReturnKind> CallState<K, O> {
    pub(super) fn claim(&mut self) -> Option<BoxFuture<'static, LeaseAnswer>> {
        let tier = self.tier()?;
        if self.held.is_some() || matches!(self.part, Part::Inside) {
            return None;
        }
        let lease_request = match self.purpose {
            Purpose::Answer | Purpose::BackgroundRefresh => self.lease_request.take()?,
            Purpose::Refresh => tier.replacing(&self.key, &self.tags)?,
        };
        Some(match (&self.part, self.cache.policy.flight(), self.purpose) {
            (Part::Leads(flight), SingleFlight::Fleet, Purpose::Answer) if !self.failed => {
                let (flight, begun) = (Arc::clone(flight), self.begun);
                Box::pin(async move { lease_wait::acquire(tier, lease_request, &flight, begun).await })
            }
            _ => Box::pin(tier.acquire(lease_request)),
        })
    }

    pub(super) fn claimed(&mut self, claimed: LeaseAnswer) -> bool {
        match claimed {
            LeaseAnswer::Acquired(held) => self.held = Some(held),
            // Without a lease the next value could not be stored: another process is at it, or the store is gone.
            LeaseAnswer::Busy(_) | LeaseAnswer::TakenOver | LeaseAnswer::Unknown
                if self.purpose == Purpose::BackgroundRefresh =>
            {
                return false;
            }
            LeaseAnswer::Busy(_) | LeaseAnswer::TakenOver | LeaseAnswer::Unknown => {}
            // Those who wait may have come after whoever filled it was invalidated.
            LeaseAnswer::Filled => {
                if let Part::Leads(flight) = std::mem::replace(&mut self.part, Part::None) {
                    self.cache.flights.withdraw(&self.key, &flight);
                    flight.mark_outdated();
                }
                // Whoever finds a key filled and then empty again and again computes in the end.
                self.disappointments += 1;
                return false;
            }
        }
        self.body_begins();
        true
    }
}
