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
