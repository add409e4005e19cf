//! Leases whose grant this process did not learn of: they are given back, and hold up nobody.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Memcached, MemcachedConfig,
    Redis, RedisConfig, Result, Store, Watch, async_cached,
};
use cached_tests::in_own_process;
use cached_tests::map_store::MapStore;
use cached_tests::proxy::{Proxy, Replies};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::until;

/// Far below the term of a lease, and far above what a call takes on a busy machine.
const WELL_BELOW_THE_TERM: Duration = Duration::from_secs(5);

/// What happens to the answer to a request for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Late,
    Swallowed,
    Truncated,
    Garbled,
}

/// A store behind a proxy that damages the answers to requests for leases, and to nothing else.
#[derive(Debug)]
struct Damaged<S> {
    store: S,
    proxy: Proxy,
    fault: std::sync::Mutex<Fault>,
}

impl<S: Store> Damaged<S> {
    fn new(server: &str, store: impl FnOnce(String) -> S) -> Arc<Self> {
        let proxy = Proxy::start(server);
        Arc::new(Self { store: store(proxy.addr()), proxy, fault: std::sync::Mutex::new(Fault::None) })
    }

    fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

impl<S: Store> Store for Damaged<S> {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.store.get(keys)
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        Box::pin(async move {
            let fault = *self.fault.lock().unwrap();
            match fault {
                Fault::None => {}
                Fault::Late => self.proxy.delay(Duration::from_millis(60)),
                Fault::Swallowed => self.proxy.replies(Replies::Swallow),
                Fault::Truncated => self.proxy.replies(Replies::Truncate(3)),
                Fault::Garbled => self.proxy.replies(Replies::Corrupt(2)),
            }
            let acquired = self.store.acquire(key, lease, term, mode).await;
            self.proxy.delay(Duration::ZERO);
            self.proxy.replies(Replies::Pass);
            acquired
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.store.extend(key, lease, term)
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.store.fill(key, lease, value, ttl)
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        self.store.release(key, lease, attempt)
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.store.put(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.store.add(key, value, ttl)
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.store.remove(key)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.store.watch(key)
    }
}

/// Defines the tests of one backend with its deadline of 50 milliseconds.
macro_rules! with_the_default_deadline {
    ($server:ty, $store:ty, $new:expr) => {
        static SERVER: LazyLock<$server> = LazyLock::new(<$server>::start);
        static DAMAGED: LazyLock<Arc<Damaged<$store>>> = LazyLock::new(|| Damaged::new(&SERVER.addr(), $new));
        static STORE: LazyLock<Arc<$store>> = LazyLock::new(|| Arc::new($new(SERVER.addr())));

        #[async_cached(ttl = 600, backend = DAMAGED.clone())]
        async fn damaged(key: String) -> usize {
            key.len()
        }

        #[async_cached(ttl = 600, backend = STORE.clone())]
        async fn load(key: usize) -> usize {
            key
        }

        #[tokio::test]
        async fn an_answer_that_does_not_arrive_leaves_no_lease() {
            for fault in [Fault::Late, Fault::Swallowed, Fault::Truncated, Fault::Garbled] {
                let key = format!("{fault:?}");
                // Until the first read of a round succeeds, a lease is not asked for.
                let mut warm = 0;
                while damaged::stats().shared_hits == 0 || damaged(format!("{key} {warm}")).await == 0 {
                    damaged(key.clone() + "warm").await;
                    warm += 1;
                    assert!(warm < 10_000);
                }
                DAMAGED.set(fault);
                let before = damaged::stats();
                damaged(key.clone()).await;
                DAMAGED.set(Fault::None);
                let failed = damaged::stats();
                assert!(failed.store_errors > before.store_errors, "{fault:?}");

                let start = Instant::now();
                while damaged::stats().shared_hits == failed.shared_hits {
                    damaged(key.clone()).await;
                    assert!(start.elapsed() < WELL_BELOW_THE_TERM, "the lease is held: {fault:?}");
                }
                println!("{fault:?}: the key was filled after {:?}", start.elapsed());
            }
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_burst_of_cold_calls_leaves_no_lease() {
            let mut calls = JoinSet::new();
            for key in 0..5_000 {
                calls.spawn(load(key));
            }
            calls.join_all().await;
            let mut slowest = Duration::ZERO;
            let start = Instant::now();
            for key in 0..400 {
                let start = Instant::now();
                assert_eq!(load(key).await, key);
                slowest = slowest.max(start.elapsed());
            }
            println!("after the burst: 400 calls in {:?}, the slowest in {slowest:?}", start.elapsed());
            assert!(slowest < WELL_BELOW_THE_TERM, "{slowest:?}");
        }
    };
}

mod on_redis {
    use super::*;

    with_the_default_deadline!(RedisServer, Redis, |addr: String| {
        Redis::new(RedisConfig::new(format!("redis://{addr}"))).unwrap()
    });

    #[tokio::test]
    async fn a_paused_server_leaves_no_lease() {
        load(1_000_000).await;
        while load::stats().shared_hits == 0 {
            load(1_000_000).await;
        }
        let before = load::stats();
        assert_eq!(SERVER.command(&["CLIENT", "PAUSE", "80", "WRITE"]), "OK");
        let start = Instant::now();
        load(1_000_001).await;
        println!("the cold call took {:?}", start.elapsed());
        assert!(load::stats().store_errors > before.store_errors, "the answer to `acquire` was late");
        let start = Instant::now();
        load(1_000_001).await;
        println!("the next call took {:?}", start.elapsed());
        assert!(start.elapsed() < WELL_BELOW_THE_TERM, "{:?}", start.elapsed());
    }
}

mod on_memcached {
    use super::*;

    with_the_default_deadline!(MemcachedServer, Memcached, |addr: String| {
        Memcached::new(MemcachedConfig::new(addr)).unwrap()
    });
}

/// A store that does not answer to `acquire` in time and holds releases, or that rejects fills.
#[derive(Debug, Default)]
struct Flawed {
    map: MapStore,
    is_silent: bool,
    /// How many of the next fills are rejected: the lease has ended, and the old value is still there.
    rejects: AtomicUsize,
    releasing: AtomicUsize,
    most: AtomicUsize,
    released: AtomicUsize,
    gate: Gate,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

/// Holds those that enter until it is closed.
#[derive(Debug)]
struct Gate(Semaphore);

/// Counts the end of a release, also of one that exceeds its deadline.
struct Releasing<'a>(&'a AtomicUsize);

impl Drop for Releasing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

static SILENT: LazyLock<Flawed> = LazyLock::new(|| Flawed { is_silent: true, ..Flawed::default() });
static REJECTING: LazyLock<Flawed> = LazyLock::new(|| {
    let store = Flawed::default();
    store.gate.0.close();
    store
});

impl Store for Flawed {
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
        Box::pin(async move {
            let acquired = self.map.acquire(key, lease, term, mode).await?;
            if !self.is_silent {
                return Ok(acquired);
            }
            Err(Error::new(ErrorKind::Timeout, "the answer is late"))
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.map.extend(key, lease, term)
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            if self.rejects.fetch_update(SeqCst, SeqCst, |rejects| rejects.checked_sub(1)).is_ok() {
                self.map.release(key, lease, LastAttempt::Unknown).await?;
                return Ok(false);
            }
            self.map.fill(key, lease, value, ttl).await
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let releasing = self.releasing.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(releasing, SeqCst);
            let counted = Releasing(&self.releasing);
            // Closed when the test lets all through.
            let _ = self.gate.0.acquire().await;
            drop(counted);
            self.released.fetch_add(1, SeqCst);
            self.map.release(key, lease, attempt).await
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.map.put(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.map.add(key, value, ttl)
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.map.remove(key)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.map.watch(key)
    }
}

#[tokio::test]
async fn giving_leases_back_takes_one_task_and_few_commands_at_a_time() {
    #[async_cached(ttl = 600, backend = &*SILENT)]
    async fn silent(key: usize) -> usize {
        key
    }

    let mut calls = JoinSet::new();
    for key in 0..20_000 {
        calls.spawn(silent(key));
    }
    calls.join_all().await;
    until("leases are given back", || SILENT.releasing.load(SeqCst) > 0).await;
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks <= 3, "{tasks} tasks are left of 20 000 calls");
    assert_eq!(silent::stats().computed, 20_000);
    SILENT.gate.0.close();
    until("they are given back", || SILENT.releasing.load(SeqCst) == 0).await;
    assert!(SILENT.most.load(SeqCst) <= 64, "{}", SILENT.most.load(SeqCst));
}

#[cfg(feature = "moved-clock")]
#[tokio::test(start_paused = true)]
async fn a_lease_does_not_wait_for_another_one_to_be_released_again() {
    static STORE: LazyLock<Flawed> = LazyLock::new(|| {
        let store = Flawed { is_silent: true, ..Flawed::default() };
        store.gate.0.close();
        store
    });

    #[async_cached(ttl = 600, backend = &*STORE)]
    async fn silent(key: usize) -> usize {
        key
    }

    silent(1).await;
    until("a lease is given back", || STORE.released.load(SeqCst) == 1).await;
    // That one is released again after a second, because its request may arrive late. The clock does not move meanwhile.
    silent(2).await;
    until("the next one is given back", || STORE.released.load(SeqCst) == 2).await;
}

#[tokio::test]
async fn expire_does_not_ignore_that_its_copy_was_rejected() {
    static ANSWER: AtomicUsize = AtomicUsize::new(0);

    #[async_cached(ttl = 600, stale_if_error = 600, backend = &*REJECTING)]
    async fn answer(key: usize) -> std::result::Result<usize, String> {
        match ANSWER.load(SeqCst) {
            0 => Err(format!("{key} fails")),
            answer => Ok(answer),
        }
    }

    for (key, rejected) in [0, 1, 2, 3, 10].into_iter().enumerate() {
        ANSWER.store(1, SeqCst);
        assert_eq!(answer(key).await, Ok(1));
        REJECTING.rejects.store(rejected, SeqCst);
        answer::expire(key).await.unwrap();
        REJECTING.rejects.store(0, SeqCst);
        if rejected < 3 {
            ANSWER.store(0, SeqCst);
            assert_eq!(answer(key).await, Ok(1), "the old value is kept");
            answer::expire(key).await.unwrap(); // Ends the backoff.
        }
        ANSWER.store(2, SeqCst);
        assert_eq!(answer(key).await, Ok(2), "a value from before `expire` is not fresh: {rejected}");
    }
}

#[test]
fn a_shutdown_gives_leases_back() {
    #[async_cached(ttl = 600, backend = crate::support::redis(), name = "leases.shutdown")]
    async fn in_redis(key: usize) -> usize {
        BEGUN.fetch_add(1, SeqCst);
        let _ = RELEASED.acquire().await;
        key
    }

    #[async_cached(ttl = 600, backend = crate::support::memcached(), name = "leases.shutdown")]
    async fn in_memcached(key: usize) -> usize {
        BEGUN.fetch_add(1, SeqCst);
        let _ = RELEASED.acquire().await;
        key
    }

    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static RELEASED: Semaphore = Semaphore::const_new(0);

    in_own_process!();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut calls = JoinSet::new();
        for key in 0..100 {
            calls.spawn(in_redis(key));
            calls.spawn(in_memcached(key));
        }
        until("they compute", || BEGUN.load(SeqCst) == 200).await;
        let stores = [crate::support::redis(), crate::support::memcached()];
        let key = Key::new("leases.shutdown.v1", &(7_usize,)).unwrap();
        let term = Duration::from_secs(10);
        for store in &stores {
            assert!(
                crate::support::acquire(store, &key, term, LeaseMode::IfAbsent).await.is_none(),
                "it is leased"
            );
        }
        let report = cached_runtime::shutdown(Duration::from_secs(10)).await;
        assert_eq!((report.leases_returned, report.leases_left), (200, 0));
        let again = cached_runtime::shutdown(Duration::from_secs(10)).await;
        assert_eq!((again.leases_returned, again.leases_left), (0, 0));
        for store in &stores {
            // As another process would.
            let lease = crate::support::acquire(store, &key, term, LeaseMode::IfAbsent).await;
            assert!(lease.is_some(), "the lease is free at once");
        }
        // The calls are answered, and so are later ones.
        RELEASED.close();
        assert_eq!(calls.join_all().await.len(), 200);
        assert_eq!((in_redis::stats().rejected_fills, in_memcached::stats().rejected_fills), (100, 100));
        assert_eq!(in_redis(8).await, 8);
        assert_eq!(cached_runtime::shutdown(Duration::ZERO).await.leases_left, 0);
    });
}

/// As at the end of a test with a runtime of its own, or of a part of a program.
#[test]
fn a_runtime_that_ends_leaves_no_lease() {
    #[async_cached(ttl = 600, backend = crate::support::redis(), name = "leases.of_a_runtime")]
    async fn in_redis(key: usize) -> usize {
        BEGUN.fetch_add(1, SeqCst);
        let _ = RELEASED.acquire().await;
        key
    }

    #[async_cached(ttl = 600, backend = crate::support::memcached(), name = "leases.of_a_runtime")]
    async fn in_memcached(key: usize) -> usize {
        BEGUN.fetch_add(1, SeqCst);
        let _ = RELEASED.acquire().await;
        key
    }

    #[async_cached(ttl = 600, detached, backend = crate::support::redis(), name = "leases.of_a_runtime.detached")]
    async fn detached(key: usize) -> usize {
        BEGUN.fetch_add(1, SeqCst);
        let _ = RELEASED.acquire().await;
        key
    }

    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static RELEASED: Semaphore = Semaphore::const_new(0);

    in_own_process!();
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let first = runtime();
    // One call in a task of the runtime, and one in a thread that outlives it.
    let handle = first.handle().clone();
    let outside = std::thread::spawn(move || handle.block_on(in_redis(2)));
    first.block_on(async {
        tokio::spawn(in_redis(1));
        tokio::spawn(in_memcached(1));
        tokio::spawn(detached(1));
        until("they compute", || BEGUN.load(SeqCst) == 4).await;
    });
    first.shutdown_timeout(Duration::from_secs(1));
    RELEASED.close();
    assert_eq!(outside.join().unwrap(), 2);

    let began = Instant::now();
    runtime().block_on(async {
        assert_eq!(tokio::join!(in_redis(1), in_redis(2), in_memcached(1), detached(1)), (1, 2, 1, 1));
    });
    assert!(began.elapsed() < WELL_BELOW_THE_TERM, "{:?}", began.elapsed());
}

#[cfg(feature = "moved-clock")]
mod unanswered {
    use cached_runtime::test::{Fault, Operation, TestStore};
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    static STORE: LazyLock<TestStore> = LazyLock::new(TestStore::new);

    #[async_cached(ttl = 600, backend = &*STORE, name = "leases.unanswered", skip(fails))]
    async fn in_store(key: usize, fails: bool) -> std::result::Result<usize, usize> {
        if fails { Err(key) } else { Ok(key) }
    }

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    #[test]
    fn a_runtime_that_ends_before_the_answer_leaves_no_lease() {
        let never = Duration::from_secs(600);
        let faults = [
            (Operation::Acquire, Fault::lost_answer(), false),
            (Operation::Fill, Fault::delay(never), false),
            (Operation::Release, Fault::delay(never), true),
        ];
        for (key, (operation, fault, fails)) in faults.into_iter().enumerate() {
            let asked = || STORE.requests().into_iter().filter(|asked| asked.went_wrong).count();
            let before = asked();
            STORE.inject(fault.on(operation).times(1));
            let first = runtime();
            first.block_on(async {
                tokio::spawn(in_store(key, fails));
                until("the store is asked", || asked() > before).await;
            });
            first.shutdown_timeout(Duration::from_secs(1));

            let began = Instant::now();
            runtime().block_on(async {
                assert_eq!(in_store(key, false).await, Ok(key));
                assert_eq!(in_store::peek(key).await, Some(Ok(key)), "{operation:?}: it is stored");
            });
            assert!(began.elapsed() < WELL_BELOW_THE_TERM, "{operation:?}: {:?}", began.elapsed());
        }
    }
}
