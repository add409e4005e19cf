//! The versions of reservations that this store has made, so that the usual fill need not read its reservation first.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::protocol::Epoch;
use crate::Lease;

/// The versions of reservations, by the token of the lease. What is missing is read from the server.
#[derive(Debug, Default)]
pub(super) struct Granted(Mutex<HashMap<u128, (Epoch, u64)>>);

/// The maximum number of reservations that are kept. A lease that is neither filled nor released stays until then.
const MAX_REMEMBERED: usize = 10_000;

impl Granted {
    /// Keeps the version of the reservation of a lease for its fill.
    pub(super) fn remember(&self, lease: Lease, epoch: Epoch, version: u64) {
        let mut versions = self.lock();
        if versions.len() >= MAX_REMEMBERED {
            versions.clear();
        }
        versions.insert(lease.token(), (epoch, version));
    }

    /// Takes what is kept of a lease.
    pub(super) fn take(&self, lease: Lease) -> Option<(Epoch, u64)> {
        self.lock().remove(&lease.token())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, (Epoch, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
