//! An invalidation that the store did not confirm is an error, and is retried until the store confirms it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store, async_cached};
use cached_tests::in_own_process;
use cached_tests::proxy::Proxy;
use cached_tests::server::{MemcachedServer, RedisServer};

/// The value that the functions below return.
static ORIGIN: AtomicU64 = AtomicU64::new(0);

static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

fn store() -> Arc<dyn Store> {
    Arc::clone(STORE.get().unwrap())
}

macro_rules! functions {
    ($($name:ident)*) => {$(
        #[async_cached(ttl = 600, backend = store())]
        async fn $name(key: u64) -> u64 {
            let _ = key;
            ORIGIN.load(Ordering::SeqCst)
        }
    )*};
}

functions! { invalidated other }

/// In a process of its own, because of the statics.
#[test]
fn an_unconfirmed_invalidation_is_retried_in_redis() {
    in_own_process!();
    let server = RedisServer::start();
    let proxy = Proxy::start(&server.addr());
    let config = RedisConfig::new(format!("redis://{}", proxy.addr())).deadline(DEADLINE);
    let _ = STORE.set(Arc::new(Redis::new(config).unwrap()));
    is_retried(&proxy, || server.command(&["DBSIZE"]));
}

/// In a process of its own, because of the statics.
#[test]
fn an_unconfirmed_invalidation_is_retried_in_memcached() {
    in_own_process!();
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let config = MemcachedConfig::new(proxy.addr()).deadline(DEADLINE);
    let _ = STORE.set(Arc::new(Memcached::new(config).unwrap()));
    is_retried(&proxy, || server.stat("curr_items").to_string());
}

const DEADLINE: Duration = Duration::from_secs(2);

fn is_retried(proxy: &Proxy, items: impl Fn() -> String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(invalidated(1).await, 0);
        assert_eq!(other(1).await, 0);
        let before = items();

        proxy.refuse();
        proxy.cut();
        ORIGIN.store(1, Ordering::SeqCst);
        assert!(invalidated::invalidate(1).await.is_err(), "the store did not confirm it");
        assert_eq!(items(), before, "the store still has the value");
        assert_eq!(invalidated(1).await, 1, "this process does not read it");

        // The retry needs no further call.
        proxy.accept();
        let begun = Instant::now();
        while items() == before {
            assert!(begun.elapsed() < Duration::from_secs(30), "it was not retried");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(invalidated(1).await, 1);
        assert_eq!(other(1).await, 0, "the value of another function is kept");
    });
}

#[cfg(feature = "moved-clock")]
mod retries {
    use std::sync::atomic::AtomicBool;
    use std::sync::{LazyLock, Mutex};

    use bytes::Bytes;
    use cached_runtime::{
        Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Result, Watch, health,
    };
    use cached_tests::map_store::MapStore;

    use super::*;

    /// A store where some changes fail.
    #[derive(Debug)]
    struct Unreliable {
        name: &'static str,
        map: MapStore,
        changes: AtomicU64,
        /// Returns `true` if the change with this number fails, of this key.
        fails: fn(u64, &Key) -> bool,
    }

    impl Unreliable {
        fn new(name: &'static str, fails: fn(u64, &Key) -> bool) -> Self {
            Self { name, map: MapStore::default(), changes: AtomicU64::new(0), fails }
        }

        fn is_failure(&self, key: &Key) -> bool {
            (self.fails)(self.changes.fetch_add(1, Ordering::SeqCst), key)
        }

        /// Returns how many invalidations are pending.
        fn pending(&self) -> usize {
            let health = health();
            // Named by its `Debug`.
            let server = health.iter().find(|server| server.name.contains(&format!("{:?}", self.name)));
            server.map_or(0, |server| server.pending_invalidations)
        }
    }

    impl Store for Unreliable {
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
            self.map.acquire(key, lease, term, mode)
        }

        fn extend<'a>(
            &'a self,
            key: &'a Key,
            lease: &'a Lease,
            term: Duration,
        ) -> BoxFuture<'a, Result<bool>> {
            self.map.extend(key, lease, term)
        }

        fn fill<'a>(
            &'a self,
            key: &'a Key,
            lease: Lease,
            value: Bytes,
            ttl: Duration,
        ) -> BoxFuture<'a, Result<bool>> {
            self.map.fill(key, lease, value, ttl)
        }

        fn release<'a>(
            &'a self,
            key: &'a Key,
            lease: Lease,
            attempt: LastAttempt,
        ) -> BoxFuture<'a, Result<()>> {
            self.map.release(key, lease, attempt)
        }

        fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
            if self.is_failure(key) {
                return Box::pin(async { Err(Error::new(ErrorKind::Unreachable, "at times")) });
            }
            self.map.put(key, value, ttl)
        }

        fn add<'a>(
            &'a self,
            key: &'a Key,
            value: Bytes,
            ttl: Option<Duration>,
        ) -> BoxFuture<'a, Result<Bytes>> {
            self.map.add(key, value, ttl)
        }

        fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
            if self.is_failure(key) {
                return Box::pin(async { Err(Error::new(ErrorKind::Unreachable, "at times")) });
            }
            self.map.remove(key)
        }

        fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
            self.map.watch(key)
        }
    }

    /// The pause between retries grows while the store fails, and no longer than that: otherwise invalidations would pile up at a
    /// store that fails now and then.
    #[tokio::test(start_paused = true)]
    async fn retries_are_frequent_again_after_a_success() {
        static UNRELIABLE: LazyLock<Unreliable> = LazyLock::new(|| {
            Unreliable::new("now and then", |number, _| number < 220 || number.is_multiple_of(2))
        });

        #[async_cached(ttl = 600, backend = &*UNRELIABLE)]
        async fn number(key: u64) -> u64 {
            key
        }

        let begun = tokio::time::Instant::now();
        for key in 0..200 {
            number::invalidate(key).await.unwrap_err();
        }
        assert_eq!(UNRELIABLE.pending(), 200);
        while UNRELIABLE.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // With pauses of five seconds it would take 1 000 seconds.
        assert!(begun.elapsed() < Duration::from_secs(300), "{:?}", begun.elapsed());
    }

    /// As in a cluster where one server is down, or where a permission is missing for a key.
    #[tokio::test(start_paused = true)]
    async fn keys_that_fail_do_not_delay_the_others() {
        /// The first half of the keys.
        static REJECTED: Mutex<Vec<Key>> = Mutex::new(Vec::new());
        static IS_UP: AtomicBool = AtomicBool::new(false);
        static UNRELIABLE: LazyLock<Unreliable> = LazyLock::new(|| {
            Unreliable::new("for some keys", |_, key| {
                let mut rejected = REJECTED.lock().unwrap();
                if rejected.len() < 50 && !rejected.contains(key) {
                    rejected.push(key.clone());
                }
                !IS_UP.load(Ordering::SeqCst) || rejected.contains(key)
            })
        });

        #[async_cached(ttl = 600, backend = &*UNRELIABLE)]
        async fn number(key: u64) -> u64 {
            key
        }

        for key in 0..100 {
            number::invalidate(key).await.unwrap_err();
        }
        assert_eq!(UNRELIABLE.pending(), 100);
        IS_UP.store(true, Ordering::SeqCst);
        let begun = tokio::time::Instant::now();
        while UNRELIABLE.pending() > 50 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(begun.elapsed() < Duration::from_secs(600), "{} are pending", UNRELIABLE.pending());
        }
    }

    /// They share the values, so this process uses neither of them for what one could not invalidate.
    #[tokio::test(start_paused = true)]
    async fn functions_with_one_name_share_what_is_pending() {
        static UNRELIABLE: LazyLock<Unreliable> =
            LazyLock::new(|| Unreliable::new("one name", |number, _| number < 10));

        #[async_cached(ttl = 600, name = "pending.one_name", backend = &*UNRELIABLE)]
        async fn one(key: u64) -> u64 {
            key + one::stats().computed
        }

        #[async_cached(ttl = 600, name = "pending.one_name", backend = &*UNRELIABLE)]
        async fn other(key: u64) -> u64 {
            key
        }

        assert_eq!((one(0).await, other(0).await), (0, 0));
        other::invalidate(0).await.unwrap_err();
        assert_eq!((one(0).await, UNRELIABLE.pending()), (1, 1), "it is computed");
        while UNRELIABLE.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        one(0).await;
        let before = one::stats().computed;
        one(0).await;
        assert_eq!(one::stats().computed, before, "it is stored again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clear_before_the_first_call_is_retried() {
        static UNRELIABLE: LazyLock<Unreliable> =
            LazyLock::new(|| Unreliable::new("before the first call", |number, _| number < 3));

        #[async_cached(ttl = 600, name = "pending.before_the_first_call", backend = &*UNRELIABLE)]
        async fn used(key: u64) -> u64 {
            key
        }

        #[async_cached(ttl = 600, name = "pending.before_the_first_call", backend = &*UNRELIABLE)]
        async fn unused(key: u64) -> u64 {
            key
        }

        used(1).await;
        unused::clear().await.unwrap_err();
        assert_eq!(UNRELIABLE.pending(), 1);
        used(1).await;
        assert_eq!(used::stats().computed, 2, "what may be invalid is not used");
        while UNRELIABLE.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        used(1).await;
        let before = used::stats().computed;
        used(1).await;
        assert_eq!(used::stats().computed, before, "it is stored again");
    }
}
