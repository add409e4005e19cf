//! A store as the contract sees it: an error or a silence is a broken clause.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::time::{ANSWER, LONG};
use crate::{Acquired, Key, Lease, LeaseId, LeaseMode, Result, Store, Watch};

pub(super) struct Probe<'a> {
    store: &'a dyn Store,
    /// The keys of one run are nobody else's.
    namespace: String,
}

impl<'a> Probe<'a> {
    pub(super) fn new(store: &'a dyn Store, group: &str) -> Self {
        Self { store, namespace: format!("contract::{group}@{:x}", RandomState::new().hash_one(group)) }
    }

    pub(super) fn key(&self, name: &str) -> Key {
        Key::from_bytes(&self.namespace, name.as_bytes())
    }

    pub(super) async fn get(&self, key: &Key) -> Option<Bytes> {
        let mut values = self.get_all(std::slice::from_ref(key)).await;
        assert_eq!(values.len(), 1, "`get` has to return one value or `None` for one key");
        values.remove(0)
    }

    pub(super) async fn get_all(&self, keys: &[Key]) -> Vec<Option<Bytes>> {
        answer("get", self.store.get(keys)).await
    }

    pub(super) async fn acquire(&self, key: &Key, term: Duration, over: LeaseMode) -> Acquired {
        answer("acquire", self.store.acquire(key, term, over)).await
    }

    /// The lease on a key that nobody holds.
    pub(super) async fn lease(&self, key: &Key, term: Duration) -> Lease {
        let acquired = self.acquire(key, term, LeaseMode::Replace).await;
        acquired.lease.expect("`acquire` over any value has to give the lease that nobody holds")
    }

    /// Who holds the lease on a key that is leased.
    pub(super) async fn holder(&self, key: &Key) -> Option<LeaseId> {
        self.acquire(key, LONG, LeaseMode::Replace).await.holder
    }

    /// Whether somebody holds the lease on a key; it is left as it was.
    pub(super) async fn leased(&self, key: &Key) -> bool {
        match self.acquire(key, LONG, LeaseMode::Replace).await.lease {
            Some(lease) => {
                self.release(key, lease).await;
                false
            }
            None => true,
        }
    }

    pub(super) async fn extend(&self, key: &Key, lease: Lease, term: Duration) -> bool {
        answer("extend", self.store.extend(key, &lease, term)).await
    }

    pub(super) async fn fill(&self, key: &Key, lease: Lease, value: &[u8], ttl: Duration) -> bool {
        answer("fill", self.store.fill(key, lease, Bytes::copy_from_slice(value), ttl)).await
    }

    pub(super) async fn release(&self, key: &Key, lease: Lease) {
        answer("release", self.store.release(key, lease)).await;
    }

    pub(super) async fn put(&self, key: &Key, value: &[u8], ttl: impl Into<Option<Duration>>) {
        answer("put", self.store.put(key, Bytes::copy_from_slice(value), ttl.into())).await;
    }

    pub(super) async fn add(&self, key: &Key, value: &[u8], ttl: impl Into<Option<Duration>>) -> Bytes {
        answer("add", self.store.add(key, Bytes::copy_from_slice(value), ttl.into())).await
    }

    pub(super) async fn remove(&self, key: &Key) {
        answer("remove", self.store.remove(key)).await;
    }

    pub(super) async fn watch(&self, key: &Key) -> Option<Watch> {
        answer("watch", self.store.watch(key)).await
    }
}

async fn answer<T>(method: &str, call: impl Future<Output = Result<T>>) -> T {
    let Ok(result) = timeout(ANSWER, call).await else { panic!("`{method}` has to come to an end") };
    result.unwrap_or_else(|error| panic!("`{method}` has to work: {error:?}"))
}
