//! A store that rejects all writes while it is full; reads succeed, as on a replica.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch,
};

use crate::map_store::MapStore;

/// A store that rejects all writes while it is full.
#[derive(Debug, Default)]
pub struct Full {
    map: MapStore,
    is_full: AtomicBool,
}

impl Full {
    /// Rejects writes from now on.
    pub fn fill_up(&self) {
        self.is_full.store(true, SeqCst);
    }

    /// Accepts writes again.
    pub fn make_room(&self) {
        self.is_full.store(false, SeqCst);
    }

    fn write<'a, T: Send + 'a>(&'a self, write: BoxFuture<'a, Result<T>>) -> BoxFuture<'a, Result<T>> {
        if self.is_full.load(SeqCst) {
            return Box::pin(std::future::ready(Err(Error::new(ErrorKind::Rejected, "the store is full"))));
        }
        write
    }
}

impl Store for Full {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.map.get(keys)
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        self.write(self.map.acquire(key, lease, term, mode))
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.write(self.map.extend(key, lease, term))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.write(self.map.fill(key, lease, value, ttl))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        self.write(self.map.release(key, lease, attempt))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.write(self.map.put(key, value, ttl))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.write(self.map.add(key, value, ttl))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.write(self.map.remove(key))
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.map.watch(key)
    }
}
