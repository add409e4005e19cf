//! A store as the contract sees it: an error or a silence is a broken clause.

use std::collections::hash_map::RandomState;
use std::future::{Future, poll_fn};
use std::hash::BuildHasher as _;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::{Acquired, BoxFuture, Key, Lease, LeaseId, LeaseMode, Result, Store, Watch};

/// How much later than asked for a value or a lease may end.
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::contract::LATE;
///
/// // A server that counts whole seconds rounds up, and the next of them may have almost begun.
/// let (ttl, at_most) = (Duration::from_millis(1100), Duration::from_secs(3));
/// assert!(at_most <= ttl + LATE);
/// ```
pub const LATE: Duration = Duration::from_secs(2);

/// How long a store may take to answer before it counts as one that does not.
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::contract::ANSWER;
///
/// // A store that gives up by itself before that does not count as one that hangs.
/// assert!(Duration::from_millis(50) < ANSWER);
/// ```
pub const ANSWER: Duration = Duration::from_secs(30);

/// Longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for.
pub(super) const SHORT: Duration = Duration::from_millis(400);
/// What a busy machine may add to [`LATE`].
const BUSY: Duration = Duration::from_secs(1);
/// How many callers come at once.
pub(super) const CROWD: usize = 64;

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

/// Starts a call and drops it half way, unless it is done after so many polls.
pub(super) async fn drop_after<T>(polls: usize, mut call: BoxFuture<'_, T>) {
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A future as one of many.
pub(super) fn boxed<'b, T>(future: impl Future<Output = T> + Send + 'b) -> BoxFuture<'b, T> {
    Box::pin(future)
}

/// The results of futures that all run at once, in their order.
pub(super) async fn together<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut left = 0;
        for (future, result) in futures.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(ready) => *result = Some(ready),
                Poll::Pending => left += 1,
            }
        }
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// Waits for something to come true, again and again, and panics when that takes too long.
pub(super) struct Patience {
    until: Instant,
    /// When it was looked for last, at the earliest.
    looked: Instant,
    broken: &'static str,
}

impl Patience {
    /// What has to hold `by` then at the latest.
    pub(super) fn new(by: Instant, broken: &'static str) -> Self {
        Self { until: by + BUSY, looked: Instant::now(), broken }
    }

    pub(super) async fn wait(&mut self) {
        assert!(self.looked < self.until, "{}", self.broken);
        sleep(Duration::from_millis(20)).await;
        self.looked = Instant::now();
    }
}

async fn answer<T>(method: &str, call: impl Future<Output = Result<T>>) -> T {
    let Ok(result) = timeout(ANSWER, call).await else { panic!("`{method}` has to come to an end") };
    result.unwrap_or_else(|error| panic!("`{method}` has to work: {error:?}"))
}
