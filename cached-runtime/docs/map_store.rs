use std::collections::HashMap;
use std::future::ready;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseId, LeaseMode, Result, Store, Watch,
};
use tokio::time::Instant;

/// Values in a map of this process.
#[derive(Debug, Default)]
pub struct MapStore(Mutex<HashMap<Key, Item>>);

/// The state of one key.
#[derive(Debug, Default)]
struct Item {
    value: Option<Bytes>,
    expires: Option<Instant>,
    lease: Option<(Lease, Instant)>,
    /// How the attempt before the current lease ended; it is forgotten at that time without a lease.
    last_attempt: Option<(LastAttempt, Instant)>,
}

impl MapStore {
    /// Applies an operation to an item in one atomic step, after removing what has expired.
    fn with<T>(&self, key: &Key, operation: impl FnOnce(&mut Item) -> T) -> T {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let item = items.entry(key.clone()).or_default();
        let now = Instant::now();
        if item.expires.is_some_and(|expires| expires <= now) {
            (item.value, item.expires) = (None, None);
        }
        item.lease = item.lease.filter(|(_, ends)| *ends > now);
        item.last_attempt = item.last_attempt.filter(|(_, ends)| item.lease.is_some() || *ends > now);
        let result = operation(item);
        if item.value.is_none() && item.lease.is_none() && item.last_attempt.is_none() {
            items.remove(key);
        }
        result
    }

    /// Applies an operation to an item if the lease on its key is still held, and returns whether it is.
    fn with_lease(&self, key: &Key, lease: Lease, operation: impl FnOnce(&mut Item)) -> bool {
        self.with(key, |item| {
            let is_held = item.lease.is_some_and(|(held, _)| held == lease);
            if is_held {
                operation(item);
            }
            is_held
        })
    }
}

impl Item {
    /// Returns an item with this value and no lease.
    fn new(value: Bytes, ttl: Option<Duration>) -> Self {
        let expires = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        Self { value: Some(value), expires, ..Self::default() }
    }
}

impl Store for MapStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        done(keys.iter().map(|key| self.with(key, |item| item.value.clone())).collect())
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        done(self.with(key, |item| {
            let acquired = match (&item.value, item.lease) {
                (Some(value), _) if !mode.replaces(value) => return Acquired::found(),
                (_, Some((held, _))) if mode != LeaseMode::TakeOver => {
                    Acquired::held(Some(LeaseId::new(held.token())))
                }
                (_, _) => {
                    item.lease = Some((lease, Instant::now() + term));
                    Acquired::granted()
                }
            };
            acquired.after(item.last_attempt.map_or(LastAttempt::Unknown, |(attempt, _)| attempt))
        }))
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        done(self.with_lease(key, *lease, |item| item.lease = Some((*lease, Instant::now() + term))))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        done(self.with_lease(key, lease, |item| *item = Item::new(value, Some(ttl))))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        let forgotten = Instant::now() + Duration::from_secs(10);
        self.with_lease(key, lease, |item| {
            (item.lease, item.last_attempt) = (None, Some((attempt, forgotten)));
        });
        done(())
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        done(self.with(key, |item| *item = Item::new(value, ttl)))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        done(self.with(key, |item| match &item.value {
            Some(present) => present.clone(),
            None => {
                *item = Item::new(value.clone(), ttl);
                value
            }
        }))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        done(self.with(key, |item| *item = Item::default()))
    }

    /// Not supported: waiters poll.
    fn watch<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        done(None)
    }
}

/// Returns a future that is ready.
fn done<T: Send + 'static>(result: T) -> BoxFuture<'static, Result<T>> {
    Box::pin(ready(Ok(result)))
}
