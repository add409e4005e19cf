//! A store in a map of this process: the simplest that keeps the contract.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{Acquired, BoxFuture, Key, Lease, LeaseId, LeaseMode, Result, Store, Watch};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The store.
#[derive(Debug, Default)]
pub struct MapStore {
    entries: Mutex<HashMap<Key, Entry>>,
    /// The keys that are watched.
    watched: Mutex<HashMap<Key, Arc<Notify>>>,
}

/// What is known about one key.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// The bytes.
    pub value: Option<Bytes>,
    /// When they expire, if they do.
    pub expires: Option<Instant>,
    /// The lease that is held and the end of its term.
    pub lease: Option<(Lease, Instant)>,
}

impl Entry {
    /// Whether this lease is the one that is held.
    #[must_use]
    pub fn holds(&self, lease: Lease) -> bool {
        self.lease.is_some_and(|(held, _)| held == lease)
    }

    /// Replaces the value and ends the lease.
    pub fn set(&mut self, value: Bytes, ttl: Option<Duration>) {
        // A time that is too far away to be told is never.
        let expires = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        *self = Self { value: Some(value), expires, lease: None };
    }

    fn drop_what_is_over(&mut self) {
        let now = Instant::now();
        if self.expires.is_some_and(|expires| expires <= now) {
            (self.value, self.expires) = (None, None);
        }
        if self.lease.is_some_and(|(_, ends)| ends <= now) {
            self.lease = None;
        }
    }
}

impl MapStore {
    /// Looks at one key and changes it, while nobody else can.
    pub fn with<T>(&self, key: &Key, change: impl FnOnce(&mut Entry) -> T) -> T {
        let mut entries = lock(&self.entries);
        let entry = entries.entry(key.clone()).or_default();
        entry.drop_what_is_over();
        let result = change(entry);
        if entry.value.is_none() && entry.lease.is_none() {
            entries.remove(key);
        }
        result
    }

    /// Ends every watch of a key.
    pub fn tell(&self, key: &Key) {
        if let Some(watched) = lock(&self.watched).remove(key) {
            watched.notify_waiters();
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
        term: Duration,
        over: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        let acquire = move |entry: &mut Entry| {
            let value = entry.value.clone();
            let wanted = value.is_none() || over == LeaseMode::Replace;
            let lease = (wanted && entry.lease.is_none()).then(new_lease);
            let busy = entry.lease.filter(|_| wanted && lease.is_none());
            let holder = busy.map(|(held, _)| LeaseId::new(held.token()));
            if let Some(lease) = lease {
                entry.lease = Some((lease, Instant::now() + term));
            }
            Acquired { value, lease, holder }
        };
        Box::pin(async move { Ok(self.with(key, acquire)) })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        let extend = move |entry: &mut Entry| {
            let held = entry.holds(*lease);
            if held {
                entry.lease = Some((*lease, Instant::now() + term));
            }
            held
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
            let held = entry.holds(lease);
            if held {
                entry.set(value, Some(ttl));
            }
            held
        };
        Box::pin(async move {
            let filled = self.with(key, fill);
            self.tell(key);
            Ok(filled)
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>> {
        let release = move |entry: &mut Entry| {
            if entry.holds(lease) {
                entry.lease = None;
            }
        };
        Box::pin(async move {
            self.with(key, release);
            self.tell(key);
            Ok(())
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.with(key, |entry| entry.set(value, ttl));
            self.tell(key);
            Ok(())
        })
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        let add = move |entry: &mut Entry| match &entry.value {
            Some(there) => there.clone(),
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
            self.tell(key);
            Ok(())
        })
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        Box::pin(async move {
            let watched = lock(&self.watched).entry(key.clone()).or_default().clone();
            Ok(Some(Watch::new(watched.notified_owned())))
        })
    }
}

/// A lease that nobody was given before.
fn new_lease() -> Lease {
    // Every `RandomState` has other keys.
    let half = |n: u8| u128::from(RandomState::new().hash_one(n));
    Lease::new(half(0) << 64 | half(1))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
