//! Acquiring the lease of a key: the right to fill it.

use std::time::Duration;

use bytes::Bytes;

use super::generation::Generation;
use super::held_lease::HeldLease;
use super::location::Location;
use super::namespace::Namespace;
use super::returned_leases::{Grant, UnansweredLease};
use crate::util::{end_of_process, limits};
use crate::{Acquired, Error, ErrorKind, Key, LastAttempt, Lease, LeaseId, LeaseMode, Result};

/// What a lease is requested with: a location without a usable value, and what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct LeaseRequest {
    pub(crate) location: Location,
    /// The generations that were read together with the value, if they are recent.
    pub(crate) generations: Option<Box<[Option<Generation>]>>,
    /// Which value it may replace: none, the one that was read, or any.
    pub(crate) mode: LeaseMode,
    /// The lease of another process that an earlier request found.
    pub(crate) lease_id: Option<LeaseId>,
    /// Whether the caller has something to return if the computation that it waits for fails.
    pub(crate) has_fallback: bool,
}

impl LeaseRequest {
    /// Says whether the caller has something to return if the computation that it waits for fails.
    pub(crate) fn with_fallback(self, has_fallback: bool) -> Self {
        Self { has_fallback, ..self }
    }

    /// Returns `true` if the attempt is over that an earlier request found.
    fn has_seen_end(&self, acquired: &Acquired) -> bool {
        self.lease_id.is_some_and(|before| {
            acquired.is_granted || acquired.holder.is_some_and(|holder| holder != before)
        })
    }
}

/// The outcome of a request for a lease.
#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    /// The lease is held. It is released on drop.
    Acquired(HeldLease),
    /// The key has a new value since it was read.
    Filled,
    /// Another process holds the lease and computes.
    Busy(LeaseRequest),
    /// The computation that the caller waited for has failed, and the caller has something to return.
    Failed,
    /// The computation that the caller waited for has a result that cannot be stored. Another process holds the lease now,
    /// but nobody else will get its result either.
    NotStorable,
    /// The store failed.
    Unavailable,
    /// The store was not asked, because too many others wait for it.
    Overloaded,
}

impl LeaseAnswer {
    fn failed(error: &Error) -> Self {
        if error.kind() == ErrorKind::Overloaded { Self::Overloaded } else { Self::Unavailable }
    }
}

impl Namespace {
    /// Requests a lease with a new token. Whatever becomes of the answer, a lease that might have been granted is given
    /// back.
    pub(super) async fn request_lease(
        &'static self,
        key: &Key,
        mode: LeaseMode,
    ) -> Result<(Lease, Acquired)> {
        let lease = Lease::random();
        let requested = UnansweredLease::new(self, key, lease, LastAttempt::Unknown, Grant::Possible);
        let acquired =
            self.with_deadline(|store| store.acquire(key, lease, limits::LEASE_TERM.time(), mode)).await;
        let is_unanswered = acquired.as_ref().is_err_and(|error| {
            matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::Protocol)
        });
        if !is_unanswered {
            requested.answered();
        }
        acquired.map(|acquired| (lease, acquired))
    }

    /// Stores a value under a lease, which ends it; `false` if it had ended before. A lease that the store does not confirm to
    /// have ended is given back in the background.
    pub(super) async fn fill(
        &'static self,
        key: &Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> Result<bool> {
        let ending = UnansweredLease::new(self, key, lease, LastAttempt::Unknown, Grant::Known);
        let filled = self.with_deadline(|store| store.fill(key, lease, value, ttl)).await;
        if filled.is_ok() {
            ending.answered();
        }
        filled
    }

    /// Releases a lease; in the background, if the store does not confirm it.
    pub(super) async fn release(&'static self, key: &Key, lease: Lease, attempt: LastAttempt) {
        let ending = UnansweredLease::new(self, key, lease, attempt, Grant::Known);
        if self.with_deadline(|store| store.release(key, lease, attempt)).await.is_ok() {
            ending.answered();
        }
    }

    /// Requests a lease.
    pub(crate) async fn acquire(&'static self, request: LeaseRequest) -> LeaseAnswer {
        if end_of_process::has_begun() {
            return LeaseAnswer::Unavailable;
        }
        self.start_returning();
        let mode = request.mode;
        let acquire = || self.request_lease(&request.location.key, mode);
        let (mut lease, mut acquired) = match acquire().await {
            Ok(acquired) => acquired,
            Err(error) => return LeaseAnswer::failed(&error),
        };
        if !acquired.is_granted && mode == LeaseMode::Replace {
            // A refresh does not wait for the holder of the lease, and must not be overwritten by the holder's result.
            // Storing without a lease instead could undo an invalidation.
            let removed = self.with_deadline(|store| store.remove(&request.location.key)).await;
            let (Ok(()), Ok(again)) = (removed, acquire().await) else { return LeaseAnswer::Unavailable };
            (lease, acquired) = again;
        }
        let ended_as = request.has_seen_end(&acquired).then_some(acquired.last_attempt);
        if ended_as == Some(LastAttempt::Failed) && request.has_fallback {
            if acquired.is_granted {
                self.give_back(request.location.key, lease, LastAttempt::Failed, Grant::Known);
            }
            return LeaseAnswer::Failed;
        }
        if acquired.is_filled {
            return LeaseAnswer::Filled;
        }
        if acquired.is_granted {
            let mut held = HeldLease::new(self, request.location, mode, lease, acquired.last_attempt);
            return match held.read_generations(request.generations).await {
                Ok(()) => LeaseAnswer::Acquired(held),
                Err(_) => LeaseAnswer::Unavailable,
            };
        }
        if ended_as == Some(LastAttempt::NotStored) {
            return LeaseAnswer::NotStorable;
        }
        let lease_id = acquired.holder.or(request.lease_id);
        // By the time the lease is free the generations are outdated.
        LeaseAnswer::Busy(LeaseRequest { generations: None, lease_id, ..request })
    }
}
