//! Keys whose last computation failed: as long as an old value can stand in, only one call in a while tries again.
//!
//! So nobody waits for a database that is down if there is a value without it, and the database is not asked by every
//! call when it comes back.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::DefaultHashBuilder;
use tokio::time::Instant;

/// The keys of one function, each with when to try again.
#[derive(Debug)]
pub(crate) struct Failures<K>(Mutex<HashMap<K, Instant, DefaultHashBuilder>>);

/// Between one try and the next.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// So many keys are remembered; every call of any other tries.
const MOST_KEYS: usize = 1_024;

impl<K: Hash + Eq> Failures<K> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::with_hasher(DefaultHashBuilder::default())))
    }

    /// Takes note that the computation of a key failed.
    pub(crate) fn add(&self, key: K) {
        let (mut keys, now) = (self.keys(), Instant::now());
        if keys.len() >= MOST_KEYS {
            keys.retain(|_, next| *next > now);
        }
        if keys.len() < MOST_KEYS {
            keys.insert(key, now + PAUSE);
        }
    }

    /// Whether to try again now, or at all for the first time; then others do not for a while.
    pub(crate) fn is_time_for(&self, key: &K) -> bool {
        let mut keys = self.keys();
        let Some(next) = keys.get_mut(key) else { return true };
        let now = Instant::now();
        if now < *next {
            return false;
        }
        *next = now + PAUSE;
        true
    }

    /// Takes note that it did not fail, or that there is a reason to try at once.
    pub(crate) fn forget(&self, key: &K) {
        self.keys().remove(key);
    }

    /// A panic while they are locked leaves nothing half done.
    fn keys(&self) -> MutexGuard<'_, HashMap<K, Instant, DefaultHashBuilder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_call_in_a_while_tries_again() {
        let failures = Failures::new();
        assert!(failures.is_time_for(&1) && failures.is_time_for(&1), "nothing has failed");
        failures.add(1);
        assert!(!failures.is_time_for(&1) && failures.is_time_for(&2));
        tokio::time::advance(PAUSE).await;
        assert!(failures.is_time_for(&1));
        assert!(!failures.is_time_for(&1), "one is at it");
        failures.forget(&1);
        assert!(failures.is_time_for(&1) && failures.is_time_for(&1));
    }

    #[tokio::test(start_paused = true)]
    async fn they_are_bounded_and_make_room_for_new_ones() {
        let failures = Failures::new();
        (0..2 * MOST_KEYS).for_each(|key| failures.add(key));
        assert_eq!(failures.keys().len(), MOST_KEYS);
        assert!(failures.is_time_for(&MOST_KEYS), "it was not remembered");
        tokio::time::advance(PAUSE).await;
        failures.add(MOST_KEYS);
        assert!(!failures.is_time_for(&MOST_KEYS));
        assert_eq!(failures.keys().len(), 1);
    }
}
