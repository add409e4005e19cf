//! A store that can be read but not told anything while it is full, as a replica is.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{Acquired, BoxFuture, Error, ErrorKind, Key, Lease, LeaseMode, Result, Store, Watch};

use crate::map_store::MapStore;

/// The store.
#[derive(Debug, Default)]
pub struct Full {
    map: MapStore,
    is_full: AtomicBool,
}

impl Full {
    /// From now on it takes nothing.
    pub fn fill_up(&self) {
        self.is_full.store(true, SeqCst);
    }

    /// From now on it takes everything again.
    pub fn make_room(&self) {
        self.is_full.store(false, SeqCst);
    }

    fn told<'a, T: Send + 'a>(&'a self, told: BoxFuture<'a, Result<T>>) -> BoxFuture<'a, Result<T>> {
        if self.is_full.load(SeqCst) {
            return Box::pin(std::future::ready(Err(Error::new(ErrorKind::Rejected, "it is full"))));
        }
        told
    }
}

impl Store for Full {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.map.get(keys)
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        term: Duration,
        over: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        self.told(self.map.acquire(key, term, over))
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.told(self.map.extend(key, lease, term))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.told(self.map.fill(key, lease, value, ttl))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>> {
        self.told(self.map.release(key, lease))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.told(self.map.put(key, value, ttl))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.told(self.map.add(key, value, ttl))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.told(self.map.remove(key))
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.map.watch(key)
    }
}
