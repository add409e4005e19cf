//! Backoff for keys whose last computation failed: while a stale value can be returned, one call per interval retries.
//!
//! So calls that have a stale value do not wait for a database that is down, and the database does not get a request
//! from every call when it comes back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::util::BuildIsHash;

/// The failed keys of one function, each with the time of its next retry.
///
/// A key is known by its hash, so that no user code runs under the lock. Keys with equal hashes back off together.
#[derive(Debug)]
pub(crate) struct Backoff(Mutex<HashMap<u64, Instant, BuildIsHash>>);

/// The permission to compute a key.
#[derive(Debug)]
pub(crate) struct Permission {
    /// When the next caller may retry; `None` if the key has not failed.
    next_retry: Option<Instant>,
}

/// The time between two retries of one key.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of failed keys; calls for any further key always retry.
const MAX_KEYS: usize = 1_024;

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::with_hasher(BuildIsHash::default())))
    }

    /// Records a failed computation of a key.
    pub(crate) fn record_failure(&self, key: u64) {
        let (mut retries, now) = (self.retries(), Instant::now());
        if retries.len() >= MAX_KEYS {
            retries.retain(|_, retry_at| *retry_at > now);
        }
        if retries.len() < MAX_KEYS {
            retries.insert(key, now + RETRY_INTERVAL);
        }
    }

    /// Returns the permission to compute the key now if it has not failed, or it is time for a retry.
    ///
    /// A retry is granted to one caller; for the others the interval begins anew.
    pub(crate) fn try_begin(&self, key: u64) -> Option<Permission> {
        let mut retries = self.retries();
        let Some(retry_at) = retries.get_mut(&key) else { return Some(Permission { next_retry: None }) };
        let now = Instant::now();
        if now < *retry_at {
            return None;
        }
        *retry_at = now + RETRY_INTERVAL;
        Some(Permission { next_retry: Some(*retry_at) })
    }

    /// Takes back a permission that was not used: the next caller may retry at once.
    pub(crate) fn give_back(&self, key: u64, Permission { next_retry }: Permission) {
        let mut retries = self.retries();
        // Unless it has failed since, in the computation of another call.
        if let Some(retry_at) = retries.get_mut(&key).filter(|at| Some(**at) == next_retry) {
            *retry_at = Instant::now();
        }
    }

    /// Ends the backoff of a key, after a success or when there is a reason to retry at once.
    pub(crate) fn reset(&self, key: u64) {
        self.retries().remove(&key);
    }

    /// Locks the table. A poisoned lock is no problem: no change is left half done by a panic.
    fn retries(&self) -> MutexGuard<'_, HashMap<u64, Instant, BuildIsHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_call_per_interval_retries() {
        let backoff = Backoff::new();
        let may_begin = |key| backoff.try_begin(key).is_some();
        assert!(may_begin(1) && may_begin(1), "nothing has failed");
        backoff.record_failure(1);
        assert!(!may_begin(1) && may_begin(2));
        tokio::time::advance(RETRY_INTERVAL).await;
        assert!(may_begin(1));
        assert!(!may_begin(1), "another call retries");
        backoff.reset(1);
        assert!(may_begin(1) && may_begin(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_that_is_given_back_is_for_the_next_call() {
        let backoff = Backoff::new();
        backoff.record_failure(1);
        tokio::time::advance(RETRY_INTERVAL).await;
        let retry = backoff.try_begin(1).unwrap();
        assert!(backoff.try_begin(1).is_none());
        backoff.give_back(1, retry);
        let retry = backoff.try_begin(1).unwrap();
        tokio::time::advance(RETRY_INTERVAL / 2).await;
        backoff.record_failure(1);
        backoff.give_back(1, retry);
        assert!(backoff.try_begin(1).is_none(), "it has failed again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_keys_is_bounded_and_old_keys_make_room() {
        let backoff = Backoff::new();
        (0..2 * MAX_KEYS as u64).for_each(|key| backoff.record_failure(key));
        assert_eq!(backoff.retries().len(), MAX_KEYS);
        assert!(backoff.try_begin(MAX_KEYS as u64).is_some(), "it was not recorded");
        tokio::time::advance(RETRY_INTERVAL).await;
        backoff.record_failure(MAX_KEYS as u64);
        assert!(backoff.try_begin(MAX_KEYS as u64).is_none());
        assert_eq!(backoff.retries().len(), 1);
    }
}
