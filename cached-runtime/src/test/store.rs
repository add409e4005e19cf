//! A store in the memory of the test, whose failures the test decides on.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use self::map_store::MapStore;
pub use crate::shared::Operation;
use crate::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch,
};

/// The store that the documentation of [`Store`] shows.
#[allow(unreachable_pub, clippy::unit_arg, reason = "it is written to be copied")]
#[path = "../../docs/map_store.rs"]
mod map_store;

/// A store for tests: values in a map, failures on demand, and a list of what was asked.
///
/// It passes the contract of [`Store`]. Lifetimes follow tokio's clock, which a test can pause and move. It cannot notify: calls
/// that wait for another process poll.
///
/// # Examples
///
/// ```
/// use std::sync::LazyLock;
///
/// use cached_runtime::test::{Fault, Operation, TestStore};
/// use cached_runtime::{ErrorKind, Source, async_cached};
///
/// static STORE: LazyLock<TestStore> = LazyLock::new(TestStore::new);
///
/// #[async_cached(ttl = 60, backend = &*STORE)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// double(4).await;
/// assert_eq!(double::lookup(4).await.source, Source::Shared);
/// assert_eq!(STORE.requests().last().unwrap().operation, Operation::Get);
///
/// STORE.inject(Fault::error(ErrorKind::Unreachable));
/// assert_eq!(double::lookup(4).await.source, Source::Computed); // An outage is a miss,
/// assert!(double::invalidate(4).await.is_err()); // and an invalidation that is not confirmed an error.
///
/// STORE.heal();
/// assert!(double::invalidate(4).await.is_ok());
/// # }
/// ```
#[derive(Debug, Default)]
pub struct TestStore {
    map: MapStore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    requests: VecDeque<Request>,
    /// Of the generator of random numbers.
    seed: u64,
}

/// Something that goes wrong in a [`TestStore`], at each operation unless said otherwise.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::test::{Fault, Operation, TestStore};
///
/// let store = TestStore::new();
/// store.inject(Fault::delay(Duration::from_secs(1)).on(Operation::Get));
/// store.inject(Fault::dropped_write().on(Operation::Fill).times(1));
/// store.inject(Fault::lost_answer().probability(0.01));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing unless it is injected"]
pub struct Fault {
    kind: FaultKind,
    operation: Option<Operation>,
    probability: f64,
    times: usize,
}

#[derive(Debug, Clone, Copy)]
enum FaultKind {
    Error(ErrorKind),
    Delay(Duration),
    LostAnswer,
    DroppedWrite,
}

impl Fault {
    /// The operation does nothing, and fails with an error of this kind.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::ErrorKind;
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// TestStore::new().inject(Fault::error(ErrorKind::Unreachable));
    /// ```
    pub const fn error(kind: ErrorKind) -> Self {
        Self::new(FaultKind::Error(kind))
    }

    /// The operation begins after this time, by tokio's clock. What takes longer than a second, which is the limit of each
    /// operation, is an error for the caller, but is done all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// TestStore::new().inject(Fault::delay(Duration::from_millis(100)));
    /// ```
    pub const fn delay(delay: Duration) -> Self {
        Self::new(FaultKind::Delay(delay))
    }

    /// The operation is done, but there is no answer, so that the caller gets an error after a second.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// TestStore::new().inject(Fault::lost_answer().times(3));
    /// ```
    pub const fn lost_answer() -> Self {
        Self::new(FaultKind::LostAnswer)
    }

    /// The store says that it has written, but has not: `fill`, `put`, `add` and `remove`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// TestStore::new().inject(Fault::dropped_write());
    /// ```
    pub const fn dropped_write() -> Self {
        Self::new(FaultKind::DroppedWrite)
    }

    const fn new(kind: FaultKind) -> Self {
        Self { kind, operation: None, probability: 1.0, times: usize::MAX }
    }

    /// Only this operation goes wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::test::{Fault, Operation, TestStore};
    ///
    /// TestStore::new().inject(Fault::lost_answer().on(Operation::Acquire));
    /// ```
    pub const fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// An operation goes wrong with this probability, from 0 to 1. Which ones do depends on the seed of the store and on
    /// the order of the operations only.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// TestStore::with_seed(42).inject(Fault::lost_answer().probability(0.1));
    /// ```
    pub const fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Only the next operations go wrong, this many; then the fault is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// TestStore::new().inject(Fault::dropped_write().times(1));
    /// ```
    pub const fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// An operation that a [`TestStore`] was asked for.
///
/// # Examples
///
/// ```
/// use cached_runtime::test::TestStore;
///
/// assert!(TestStore::new().requests().is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// What was asked.
    pub operation: Operation,
    /// The keys that it was about: one, except for `get`.
    pub keys: Vec<Key>,
    /// Whether a [`Fault`] was applied.
    pub went_wrong: bool,
}

impl TestStore {
    /// Creates an empty store without faults.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = cached_runtime::test::TestStore::new();
    /// # let _ = store;
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty store; the seed decides which operations a [`Fault::probability`] applies to.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = cached_runtime::test::TestStore::with_seed(42);
    /// # let _ = store;
    /// ```
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self { map: MapStore::default(), state: Mutex::new(State { seed, ..State::default() }) }
    }

    /// Adds a fault. Of several that apply to an operation, the first one is applied.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::ErrorKind;
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// TestStore::new().inject(Fault::error(ErrorKind::Timeout));
    /// ```
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Removes all faults.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::test::{Fault, TestStore};
    ///
    /// let store = TestStore::new();
    /// store.inject(Fault::lost_answer());
    /// store.heal();
    /// ```
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Returns what the store was asked for, the oldest first: the last 10 000 requests.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::LazyLock;
    ///
    /// use cached_runtime::async_cached;
    /// use cached_runtime::test::{Operation, TestStore};
    ///
    /// static STORE: LazyLock<TestStore> = LazyLock::new(TestStore::new);
    ///
    /// #[async_cached(ttl = 60, backend = &*STORE)]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// double(4).await;
    /// let operations: Vec<_> = STORE.requests().into_iter().map(|request| request.operation).collect();
    /// assert_eq!(operations[..2], [Operation::Get, Operation::Acquire]);
    /// assert_eq!(operations.last(), Some(&Operation::Fill));
    /// # }
    /// ```
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Performs an operation, or what a fault makes of it. `dropped` is the answer to a write that was not made.
    fn run<'a, T: Send + 'a>(
        &'a self,
        operation: Operation,
        keys: &[Key],
        dropped: Option<T>,
        perform: impl FnOnce() -> BoxFuture<'a, Result<T>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T>> {
        match (self.state().next(operation, keys, dropped.is_some()), dropped) {
            (None, _) | (Some(FaultKind::DroppedWrite), None) => perform(),
            (Some(FaultKind::DroppedWrite), Some(dropped)) => Box::pin(ready(Ok(dropped))),
            (Some(FaultKind::Error(kind)), _) => {
                Box::pin(ready(Err(Error::new(kind, "a fault of the test"))))
            }
            (Some(FaultKind::Delay(delay)), _) => Box::pin(async move {
                tokio::time::sleep(delay).await;
                perform().await
            }),
            (Some(FaultKind::LostAnswer), _) => {
                let done = perform();
                Box::pin(async {
                    let _ = done.await;
                    pending().await
                })
            }
        }
    }
}

impl State {
    /// Notes a request, and returns the fault that applies to it.
    fn next(&mut self, operation: Operation, keys: &[Key], is_write: bool) -> Option<FaultKind> {
        let mut applied = None;
        for fault in &mut self.faults {
            let is_meant = fault.operation.is_none_or(|meant| meant == operation)
                && (is_write || !matches!(fault.kind, FaultKind::DroppedWrite));
            if fault.times > 0 && is_meant && random_fraction(&mut self.seed) < fault.probability {
                fault.times -= 1;
                applied = Some(fault.kind);
                break;
            }
        }
        self.faults.retain(|fault| fault.times > 0);
        if self.requests.len() == MAX_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(Request { operation, keys: keys.to_vec(), went_wrong: applied.is_some() });
        applied
    }
}

/// How many requests are kept.
const MAX_REQUESTS: usize = 10_000;

/// Returns a number from 0 up to 1, by `SplitMix64` (Steele, Lea and Flood, 2014).
fn random_fraction(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *seed;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    1.0 - crate::util::random::fraction_from_bits(bits ^ (bits >> 31))
}

impl Store for TestStore {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.run(Operation::Get, keys, None, || self.map.get(keys))
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        let keys = std::slice::from_ref(key);
        self.run(Operation::Acquire, keys, None, move || self.map.acquire(key, lease, term, mode))
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        let keys = std::slice::from_ref(key);
        self.run(Operation::Extend, keys, None, move || self.map.extend(key, lease, term))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        let keys = std::slice::from_ref(key);
        self.run(Operation::Fill, keys, Some(true), move || self.map.fill(key, lease, value, ttl))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        let keys = std::slice::from_ref(key);
        self.run(Operation::Release, keys, None, move || self.map.release(key, lease, attempt))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        let keys = std::slice::from_ref(key);
        self.run(Operation::Put, keys, Some(()), move || self.map.put(key, value, ttl))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        let keys = std::slice::from_ref(key);
        let dropped = Some(value.clone());
        self.run(Operation::Add, keys, dropped, move || self.map.add(key, value, ttl))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.run(Operation::Remove, std::slice::from_ref(key), Some(()), move || self.map.remove(key))
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.run(Operation::Watch, std::slice::from_ref(key), None, move || self.map.watch(key))
    }
}
