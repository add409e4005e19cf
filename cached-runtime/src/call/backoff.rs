//! Backoff for keys whose last computation failed: while a stale value can be returned, one call per interval retries.
//!
//! So calls that have a stale value do not wait for a database that is down, and the database does not get a request
//! from every call when it comes back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::DefaultHashBuilder;
use tokio::time::Instant;

/// The failed keys of one function, each with the time of its next retry.
///
/// A key is known by its hash, so that no user code runs under the lock. Keys with equal hashes back off together.
#[derive(Debug)]
pub(crate) struct Backoff(Mutex<HashMap<u64, Instant, DefaultHashBuilder>>);

/// The time between two retries of one key.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of failed keys; calls for any further key always retry.
const MAX_KEYS: usize = 1_024;

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::with_hasher(DefaultHashBuilder::default())))
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

    /// Returns `true` if the caller may compute the key now: it has not failed, or it is time for a retry.
    ///
    /// A retry is granted to one caller; for the others the interval begins anew.
    pub(crate) fn try_begin(&self, key: u64) -> bool {
        let mut retries = self.retries();
        let Some(retry_at) = retries.get_mut(&key) else { return true };
        let now = Instant::now();
        if now < *retry_at {
            return false;
        }
        *retry_at = now + RETRY_INTERVAL;
        true
    }

    /// Ends the backoff of a key, after a success or when there is a reason to retry at once.
    pub(crate) fn reset(&self, key: u64) {
        self.retries().remove(&key);
    }

    /// Locks the table. A poisoned lock is no problem: no change is left half done by a panic.
    fn retries(&self) -> MutexGuard<'_, HashMap<u64, Instant, DefaultHashBuilder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_call_per_interval_retries() {
        let backoff = Backoff::new();
        assert!(backoff.try_begin(1) && backoff.try_begin(1), "nothing has failed");
        backoff.record_failure(1);
        assert!(!backoff.try_begin(1) && backoff.try_begin(2));
        tokio::time::advance(RETRY_INTERVAL).await;
        assert!(backoff.try_begin(1));
        assert!(!backoff.try_begin(1), "another call retries");
        backoff.reset(1);
        assert!(backoff.try_begin(1) && backoff.try_begin(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_keys_is_bounded_and_old_keys_make_room() {
        let backoff = Backoff::new();
        (0..2 * MAX_KEYS as u64).for_each(|key| backoff.record_failure(key));
        assert_eq!(backoff.retries().len(), MAX_KEYS);
        assert!(backoff.try_begin(MAX_KEYS as u64), "it was not recorded");
        tokio::time::advance(RETRY_INTERVAL).await;
        backoff.record_failure(MAX_KEYS as u64);
        assert!(!backoff.try_begin(MAX_KEYS as u64));
        assert_eq!(backoff.retries().len(), 1);
    }
}
