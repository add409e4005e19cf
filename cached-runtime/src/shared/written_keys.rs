//! The keys that an isolation has written to a store, which are removed at its end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::namespace::within;
use crate::policy::current_isolation;
use crate::{Key, Store};

/// The keys that one namespace of an isolation has written.
#[derive(Debug, Default)]
pub(super) struct WrittenKeys(Mutex<HashSet<Key>>);

impl WrittenKeys {
    /// Returns those of a new namespace in the current isolation, if there is one.
    pub(super) fn of_current_isolation(store: &Arc<dyn Store>) -> Option<Arc<Self>> {
        let isolation = current_isolation()?;
        let written = Arc::new(Self::default());
        let (store, noted) = (Arc::clone(store), Arc::clone(&written));
        isolation.at_end(move || {
            let keys = std::mem::take(&mut *noted.0.lock().unwrap_or_else(PoisonError::into_inner));
            Box::pin(async move {
                for key in keys {
                    // What cannot be removed expires.
                    if within(store.time_limit(), store.remove(&key)).await.is_err() {
                        return;
                    }
                }
            })
        });
        Some(written)
    }

    pub(super) fn note(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
    }
}
