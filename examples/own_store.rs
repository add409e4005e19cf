//! A store of your own, and the test that it keeps the contract.
//!
//! This one is a map in the process, the simplest store there is. Anything that keeps bytes under a key, and can change
//! them on the condition that they have not changed, can be a store.
//!
//! ```text
//! $ cargo run --example own_store --features store
//! the store passes the contract
//! first call: 42 is forty-two, 1 computed
//! second call: 42 is forty-two, 1 computed
//! after `invalidate`: 42 is forty-two, 2 computed
//! in the store: 1 value, 1 generation of its namespace
//! ```

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseId, LeaseMode, Result, Store, Watch, async_cached,
    contract,
};
use tokio::sync::Notify;

static MAP: LazyLock<MapStore> = LazyLock::new(MapStore::default);

#[async_cached(ttl = 60, backend = &*MAP)]
async fn word(number: u64) -> Option<String> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    (number == 42).then(|| "forty-two".to_owned())
}

#[tokio::main]
async fn main() -> Result<()> {
    contract::check(&MapStore::default()).await;
    println!("the store passes the contract");

    show("first call").await;
    show("second call").await;
    word::invalidate(42).await?;
    show("after `invalidate`").await;

    let values = MAP.items().values().filter(|item| item.expires.is_some()).count();
    println!("in the store: {values} value, {} generation of its namespace", MAP.items().len() - values);
    Ok(())
}

async fn show(what: &str) {
    let found = word(42).await.unwrap_or_default();
    println!("{what}: 42 is {found}, {} computed", word::stats().computed);
}

/// Bytes in a map.
#[derive(Debug, Default)]
struct MapStore {
    items: Mutex<HashMap<Key, Item>>,
    changed: Arc<Notify>,
}

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
    fn items(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes an item, and notifies all watches.
    fn change<T>(&self, key: &Key, change: impl FnOnce(&mut Item) -> T) -> T {
        let result = self.with(key, change);
        self.changed.notify_waiters();
        result
    }

    /// Runs `change` on an item as one atomic step. This is what makes the store keep the contract: expired values and
    /// leases are removed first, and nothing else can happen between reading and changing.
    fn with<T>(&self, key: &Key, change: impl FnOnce(&mut Item) -> T) -> T {
        let mut items = self.items();
        let item = items.entry(key.clone()).or_default();
        let now = Instant::now();
        if item.expires.is_some_and(|expires| expires <= now) {
            (item.value, item.expires) = (None, None);
        }
        item.lease = item.lease.filter(|(_, ends)| *ends > now);
        item.last_attempt = item.last_attempt.filter(|(_, ends)| item.lease.is_some() || *ends > now);
        let result = change(item);
        if item.value.is_none() && item.lease.is_none() && item.last_attempt.is_none() {
            items.remove(key);
        }
        result
    }
}

impl Item {
    fn is_leased_to(&self, lease: Lease) -> bool {
        self.lease.is_some_and(|(held, _)| held == lease)
    }

    /// Sets a value, and ends the lease in the same step.
    fn set(&mut self, value: Bytes, ttl: Option<Duration>) {
        let expires = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        *self = Self { value: Some(value), expires, ..Self::default() };
    }
}

impl Store for MapStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        at_once(|| keys.iter().map(|key| self.with(key, |item| item.value.clone())).collect())
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        at_once(|| {
            self.with(key, |item| {
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
            })
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        at_once(|| {
            self.with(key, |item| {
                let held = item.is_leased_to(*lease);
                if held {
                    item.lease = Some((*lease, Instant::now() + term));
                }
                held
            })
        })
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        at_once(|| {
            self.change(key, |item| {
                let held = item.is_leased_to(lease);
                if held {
                    item.set(value, Some(ttl));
                }
                held
            })
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        at_once(|| {
            self.change(key, |item| {
                if item.is_leased_to(lease) {
                    item.lease = None;
                    item.last_attempt = Some((attempt, Instant::now() + Duration::from_secs(10)));
                }
            });
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        at_once(|| self.change(key, |item| item.set(value, ttl)))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        at_once(|| {
            self.with(key, |item| match &item.value {
                Some(there) => there.clone(),
                None => {
                    item.set(value.clone(), ttl);
                    value
                }
            })
        })
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        at_once(|| self.change(key, |item| *item = Item::default()))
    }

    /// A store that cannot notify returns `None`; waiters then poll.
    fn watch<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        at_once(|| Some(Watch::new(Arc::clone(&self.changed).notified_owned())))
    }
}

/// A future that is ready.
fn at_once<T: Send + 'static>(act: impl FnOnce() -> T) -> BoxFuture<'static, Result<T>> {
    Box::pin(std::future::ready(Ok(act())))
}
