//! The right to fill a key of a shared store.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::held_lease::HeldLease;
use super::location::Location;
use super::namespace::Namespace;
use crate::{LeaseId, LeaseMode};

/// A key without a usable value.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRequest {
    pub(crate) place: Location,
    /// The stamps that were seen with it.
    pub(crate) stamps: Option<Box<[Option<u64>]>>,
    pub(crate) occupant: Occupant,
    /// Who had the lease when it was asked for last.
    pub(crate) holder: Option<LeaseId>,
}

/// What lies under a key that is to be filled.
#[derive(Debug, Clone)]
pub(crate) enum Occupant {
    None,
    /// What can not be used, or not for long; anything else there is news.
    Useless(Bytes),
    /// Whatever it is, it is to be replaced.
    Any,
}

/// What asking for a lease has brought.
#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    /// The right to fill the key; given back when it is dropped.
    Acquired(HeldLease),
    /// Someone has filled the key since it was looked at.
    Filled,
    /// Another process computes.
    Busy(LeaseRequest),
    /// Another process computes, and not the one that did before: that one has not brought a value.
    TakenOver,
    /// The store failed.
    Unknown,
}

/// How long a lease lasts without being extended; also how long a dead process keeps others from filling a key.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

impl Namespace {
    /// Asks for a lease.
    pub(crate) async fn acquire(&'static self, lease_request: LeaseRequest) -> LeaseAnswer {
        let over = match lease_request.occupant {
            Occupant::None => LeaseMode::IfAbsent,
            Occupant::Useless(_) | Occupant::Any => LeaseMode::Replace,
        };
        let acquire = || self.bounded(|store| store.acquire(&lease_request.place.key, LEASE, over));
        let Ok(mut acquired) = acquire().await else { return LeaseAnswer::Unknown };
        if acquired.lease.is_none() && matches!(lease_request.occupant, Occupant::Any) {
            // A refresh does not wait for whoever holds the lease, and is not undone by what that one computes.
            // To store without a lease instead would undo an invalidation.
            let removed = self.bounded(|store| store.remove(&lease_request.place.key)).await;
            let (Ok(()), Ok(again)) = (removed, acquire().await) else { return LeaseAnswer::Unknown };
            acquired = again;
        }
        if let Some(lease) = acquired.lease {
            let (since, place) = (Instant::now(), lease_request.place);
            let mut held = HeldLease {
                remote: self,
                place,
                over,
                stamps: Box::default(),
                mark: None,
                since,
                lease: Some(lease),
            };
            return match held.read_stamps(lease_request.stamps).await {
                Ok(()) => LeaseAnswer::Acquired(held),
                Err(_) => LeaseAnswer::Unknown,
            };
        }
        let is_news = acquired.value.is_some_and(|value| match &lease_request.occupant {
            Occupant::None => true,
            Occupant::Useless(found) => value != *found,
            Occupant::Any => false,
        });
        if is_news {
            return LeaseAnswer::Filled;
        }
        let holders = lease_request.holder.zip(acquired.holder);
        if holders.is_some_and(|(before, now)| before != now) {
            return LeaseAnswer::TakenOver;
        }
        let holder = acquired.holder.or(lease_request.holder);
        // By the time the lease is free the stamps will be out of date.
        LeaseAnswer::Busy(LeaseRequest { stamps: None, holder, ..lease_request })
    }
}
