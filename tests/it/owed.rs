//! An invalidation that the store could not be told is an error, and is repeated until it is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store, async_cached};
use cached_tests::in_own_process;
use cached_tests::proxy::Proxy;
use cached_tests::server::{MemcachedServer, RedisServer};

/// What the functions below return; it changes only when a test says so.
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

functions! { seen_by_this_process seen_by_another }

/// In a process of its own, because of the statics.
#[test]
fn an_invalidation_that_redis_was_not_told_is_repeated() {
    in_own_process!();
    let server = RedisServer::start();
    let proxy = Proxy::start(&server.addr());
    let config = RedisConfig::new(format!("redis://{}", proxy.addr())).deadline(PATIENCE);
    let _ = STORE.set(Arc::new(Redis::new(config).unwrap()));
    repeated(&proxy, || server.command(&["DBSIZE"]));
}

/// In a process of its own, because of the statics.
#[test]
fn an_invalidation_that_memcached_was_not_told_is_repeated() {
    in_own_process!();
    let server = MemcachedServer::start();
    let proxy = Proxy::start(&server.addr());
    let config = MemcachedConfig::new(proxy.addr()).deadline(PATIENCE);
    let _ = STORE.set(Arc::new(Memcached::new(config).unwrap()));
    repeated(&proxy, || server.stat("curr_items").to_string());
}

const PATIENCE: Duration = Duration::from_secs(2);

fn repeated(proxy: &Proxy, items: impl Fn() -> String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(seen_by_this_process(1).await, 0);
        assert_eq!(seen_by_another(1).await, 0);
        let before = items();

        proxy.refuse();
        proxy.cut();
        ORIGIN.store(1, Ordering::SeqCst);
        assert!(seen_by_this_process::invalidate(1).await.is_err(), "the store could not be told");
        assert_eq!(items(), before, "and still has the value");
        assert_eq!(seen_by_this_process(1).await, 1, "which nobody asks for now");

        // From here on nobody calls anything: it is repeated unasked.
        proxy.accept();
        let begun = Instant::now();
        while items() == before {
            assert!(begun.elapsed() < Duration::from_secs(30), "it was not repeated");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(seen_by_this_process(1).await, 1);
        assert_eq!(seen_by_another(1).await, 0, "another function has lost nothing");
    });
}
