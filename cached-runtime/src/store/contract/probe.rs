//! A store whose errors and timeouts are violations of the contract.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::time::{LONG, MAX_RESPONSE_TIME};
use crate::{Acquired, Key, LastAttempt, Lease, LeaseId, LeaseMode, Result, Store, Watch};

/// A store under test, with the keys of one run of one group of clauses.
pub(super) struct Probe<'a> {
    store: &'a dyn Store,
    /// Unique for each run.
    namespace: String,
}

/// The result of a request for a lease with a new token.
pub(super) struct Requested {
    pub(super) is_filled: bool,
    /// The lease, if it was granted.
    pub(super) lease: Option<Lease>,
    pub(super) holder: Option<LeaseId>,
    pub(super) last_attempt: LastAttempt,
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
        assert_eq!(values.len(), 1, "`get` must return one value or `None` for one key");
        values.remove(0)
    }

    pub(super) async fn get_all(&self, keys: &[Key]) -> Vec<Option<Bytes>> {
        expect_response("get", self.store.get(keys)).await
    }

    pub(super) async fn acquire(&self, key: &Key, term: Duration, mode: LeaseMode) -> Requested {
        let lease = Lease::random();
        let acquired = expect_response("acquire", self.store.acquire(key, lease, term, mode)).await;
        let Acquired { is_granted, is_filled, holder, last_attempt } = acquired;
        Requested { is_filled, lease: is_granted.then_some(lease), holder, last_attempt }
    }

    /// Acquires the lease of a key that is not leased.
    pub(super) async fn lease(&self, key: &Key, term: Duration) -> Lease {
        let acquired = self.acquire(key, term, LeaseMode::Replace).await;
        acquired.lease.expect("`acquire` with `Replace` must grant a lease that is not held")
    }

    /// Returns the identity of the current lease of a key.
    pub(super) async fn lease_id(&self, key: &Key) -> Option<LeaseId> {
        self.acquire(key, LONG, LeaseMode::Replace).await.holder
    }

    /// Returns `true` if the key is leased. The lease is left as it is.
    pub(super) async fn is_leased(&self, key: &Key) -> bool {
        match self.acquire(key, LONG, LeaseMode::Replace).await.lease {
            Some(lease) => {
                self.release(key, lease, LastAttempt::Unknown).await;
                false
            }
            None => true,
        }
    }

    pub(super) async fn extend(&self, key: &Key, lease: Lease, term: Duration) -> bool {
        expect_response("extend", self.store.extend(key, &lease, term)).await
    }

    pub(super) async fn fill(&self, key: &Key, lease: Lease, value: &[u8], ttl: Duration) -> bool {
        expect_response("fill", self.store.fill(key, lease, Bytes::copy_from_slice(value), ttl)).await
    }

    pub(super) async fn release(&self, key: &Key, lease: Lease, attempt: LastAttempt) {
        expect_response("release", self.store.release(key, lease, attempt)).await;
    }

    pub(super) async fn put(&self, key: &Key, value: &[u8], ttl: impl Into<Option<Duration>>) {
        expect_response("put", self.store.put(key, Bytes::copy_from_slice(value), ttl.into())).await;
    }

    pub(super) async fn add(&self, key: &Key, value: &[u8], ttl: impl Into<Option<Duration>>) -> Bytes {
        expect_response("add", self.store.add(key, Bytes::copy_from_slice(value), ttl.into())).await
    }

    pub(super) async fn remove(&self, key: &Key) {
        expect_response("remove", self.store.remove(key)).await;
    }

    pub(super) async fn watch(&self, key: &Key) -> Option<Watch> {
        expect_response("watch", self.store.watch(key)).await
    }

    /// Checks that a fill with a lost lease is rejected and changes nothing.
    pub(super) async fn assert_rejected(&self, key: &Key, lost: Lease, present: Option<&[u8]>, lease: &str) {
        assert!(!self.fill(key, lost, b"outdated", LONG).await, "`fill` must be rejected with {lease}");
        let value = self.get(key).await;
        assert_eq!(value.as_deref(), present, "a rejected `fill` must store nothing, with {lease}");
    }
}

/// Returns the result of a call of the store.
async fn expect_response<T>(method: &str, call: impl Future<Output = Result<T>>) -> T {
    let Ok(result) = timeout(MAX_RESPONSE_TIME, call).await else {
        panic!("`{method}` must complete in time")
    };
    result.unwrap_or_else(|error| panic!("`{method}` must not fail: {error:?}"))
}
