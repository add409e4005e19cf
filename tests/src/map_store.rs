//! A store in a map of this process that passes the contract.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseId, LeaseMode, Result, Store, Watch,
};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Values in a map of this process.
#[derive(Debug, Default)]
pub struct MapStore {
    entries: Mutex<HashMap<Key, Entry>>,
    /// What the watches of each key wait for.
    watches: Mutex<HashMap<Key, Arc<Notify>>>,
}

/// The state of one key.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// The value, if the key has one.
    pub value: Option<Bytes>,
    /// When the value expires; `None` for never.
    pub expires: Option<Instant>,
    /// The current lease and the end of its term.
    pub lease: Option<(Lease, Instant)>,
    /// How the attempt before the current lease ended, and when that is forgotten unless there is a lease.
    pub last_attempt: Option<(LastAttempt, Instant)>,
}

impl Entry {
    /// Returns `true` if `lease` is the current lease.
    #[must_use]
    pub fn holds(&self, lease: Lease) -> bool {
        self.lease.is_some_and(|(held, _)| held == lease)
    }

    /// Sets the value and ends the lease.
    pub fn set(&mut self, value: Bytes, ttl: Option<Duration>) {
        // An expiry beyond the range of the clock is never.
        let expires = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        *self = Self { value: Some(value), expires, ..Self::default() };
    }

    fn remove_expired(&mut self) {
        let now = Instant::now();
        if self.expires.is_some_and(|expires| expires <= now) {
            (self.value, self.expires) = (None, None);
        }
        if self.lease.is_some_and(|(_, ends)| ends <= now) {
            self.lease = None;
        }
        self.last_attempt = self.last_attempt.filter(|(_, ends)| self.lease.is_some() || *ends > now);
    }
}

impl MapStore {
    /// Applies an operation to the entry of a key in one atomic step, after removing what has expired.
    pub fn with<T>(&self, key: &Key, operation: impl FnOnce(&mut Entry) -> T) -> T {
        let mut entries = lock(&self.entries);
        let entry = entries.entry(key.clone()).or_default();
        entry.remove_expired();
        let result = operation(entry);
        if entry.value.is_none() && entry.lease.is_none() && entry.last_attempt.is_none() {
            entries.remove(key);
        }
        result
    }

    /// Completes every watch of a key.
    pub fn notify(&self, key: &Key) {
        if let Some(changed) = lock(&self.watches).remove(key) {
            changed.notify_waiters();
        }
    }
}

impl Store for MapStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        Box::pin(
            async move { Ok(keys.iter().map(|key| self.with(key, |entry| entry.value.clone())).collect()) },
        )
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        let acquire = move |entry: &mut Entry| {
            let acquired = match (&entry.value, entry.lease) {
                (Some(value), _) if !mode.replaces(value) => return Acquired::found(),
                (_, Some((held, _))) if mode != LeaseMode::TakeOver => {
                    Acquired::held(Some(LeaseId::new(held.token())))
                }
                (_, _) => {
                    entry.lease = Some((lease, Instant::now() + term));
                    Acquired::granted()
                }
            };
            acquired.after(entry.last_attempt.map_or(LastAttempt::Unknown, |(attempt, _)| attempt))
        };
        Box::pin(async move { Ok(self.with(key, acquire)) })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        let extend = move |entry: &mut Entry| {
            let is_held = entry.holds(*lease);
            if is_held {
                entry.lease = Some((*lease, Instant::now() + term));
            }
            is_held
        };
        Box::pin(async move { Ok(self.with(key, extend)) })
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        let fill = move |entry: &mut Entry| {
            let is_held = entry.holds(lease);
            if is_held {
                entry.set(value, Some(ttl));
            }
            is_held
        };
        Box::pin(async move {
            let filled = self.with(key, fill);
            self.notify(key);
            Ok(filled)
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        let release = move |entry: &mut Entry| {
            if entry.holds(lease) {
                entry.lease = None;
                entry.last_attempt = Some((attempt, Instant::now() + Duration::from_secs(10)));
            }
        };
        Box::pin(async move {
            self.with(key, release);
            self.notify(key);
            Ok(())
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.with(key, |entry| entry.set(value, ttl));
            self.notify(key);
            Ok(())
        })
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        let add = move |entry: &mut Entry| match &entry.value {
            Some(present) => present.clone(),
            None => {
                entry.set(value.clone(), ttl);
                value
            }
        };
        Box::pin(async move { Ok(self.with(key, add)) })
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.with(key, |entry| *entry = Entry::default());
            self.notify(key);
            Ok(())
        })
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        Box::pin(async move {
            let changed = lock(&self.watches).entry(key.clone()).or_default().clone();
            Ok(Some(Watch::new(changed.notified_owned())))
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
