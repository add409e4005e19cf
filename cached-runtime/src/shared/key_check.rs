//! A check for development: whether different keys of a function are one key in a shared store.
//!
//! A shared store knows of a key what serde writes, and `Eq` may tell apart what serde does not: a field with
//! `#[serde(skip)]`, two variants of an `untagged` enum. Then one gets the value of the other. Debug builds, and builds
//! with the feature `test-util`, keep keys and compare them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Key;

/// The keys that this process has used lately; empty in release builds.
pub(super) struct KeyCheck<K> {
    keys: Mutex<HashMap<[u8; Key::DIGEST], Arc<K>>>,
    has_reported: AtomicBool,
}

/// How many keys are kept at most. When they are as many, all are dropped.
const MAX_KEYS: usize = 10_000;

impl<K: Clone + Eq> KeyCheck<K> {
    pub(super) fn new() -> Self {
        Self { keys: Mutex::default(), has_reported: AtomicBool::new(false) }
    }

    /// Compares the key with the one that has had the same key in the store, and reports the first time that they differ.
    pub(super) fn check(&self, namespace: &str, store_key: &Key, key: &K) {
        if !cfg!(any(debug_assertions, feature = "test-util")) || self.has_reported.load(Ordering::Relaxed) {
            return;
        }
        // Keys are cloned, compared and dropped outside of the lock: that is code of the user.
        let digest = store_key.digest();
        let known = self.lock().get(&digest).map(Arc::clone);
        match known {
            Some(known) if *known == *key => {}
            Some(_) if self.has_reported.swap(true, Ordering::Relaxed) => {}
            Some(_) => tracing::error!(
                namespace,
                "two keys that are not equal are one key in the shared store, because serde writes them alike: a call with \
                 one gets the value of the other. Let `Serialize` write what tells them apart, or name it in \
                 `key = (...)`. Release builds do not check this"
            ),
            None => {
                let key = Arc::new(key.clone());
                let mut keys = self.lock();
                let forgotten =
                    if keys.len() < MAX_KEYS { HashMap::new() } else { std::mem::take(&mut *keys) };
                let replaced = keys.insert(digest, key);
                drop(keys);
                drop((forgotten, replaced));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; Key::DIGEST], Arc<K>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> fmt::Debug for KeyCheck<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCheck").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_keys_is_bounded() {
        let check = KeyCheck::<u64>::new();
        for key in 0..3 * MAX_KEYS as u64 + 7 {
            check.check("n", &Key::new("n", &key).unwrap(), &key);
        }
        assert_eq!(check.lock().len(), if cfg!(debug_assertions) { 7 } else { 0 });
    }
}
