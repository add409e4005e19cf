//! Failovers by Redis Sentinel, after which the old primary goes on answering for some time.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cached_runtime::{Redis, RedisConfig, Store, async_cached};
use cached_tests::sentinel::WatchedRedis;
use tokio::runtime::{Builder, Runtime};

const DEADLINE: Duration = Duration::from_secs(2);

/// The connections of a process may be on different servers after a failover: each runtime has its own, and one more for large
/// values.
#[test]
fn all_connections_leave_an_old_primary_that_still_answers() {
    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
    static VERSION: AtomicU64 = AtomicU64::new(1);

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn small(id: u64) -> (u64, u64) {
        (id, VERSION.load(SeqCst))
    }

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn large(id: u64) -> (u64, String) {
        (VERSION.load(SeqCst), "x".repeat(500_000 + usize::from(id == 0)))
    }

    let servers = WatchedRedis::start();
    let config = RedisConfig::new(servers.url()).deadline(DEADLINE).connect_timeout(DEADLINE);
    STORE.get_or_init(|| Arc::new(Redis::new(config).unwrap()));
    let versions = async || (small(1).await.1, large(1).await.0);
    let [before, after] = [0; 2].map(|_| runtime());
    before.block_on(async {
        for _ in 0..2 {
            assert_eq!(versions().await, (1, 1));
        }
        assert!(large::stats().shared_hits > 0, "it is stored");
    });

    servers.fail_over();
    VERSION.store(2, SeqCst);
    after.block_on(async {
        small::invalidate(1).await.unwrap();
        large::invalidate(1).await.unwrap();
        assert_eq!(versions().await, (2, 2));
    });

    let until = Instant::now() + Duration::from_secs(5);
    while before.block_on(versions()) != (2, 2) {
        assert!(Instant::now() < until, "it is not noticed within 5 s that there is another primary");
    }
    let [old, _] = servers.servers();
    assert!(old.command(&["ROLE"]).starts_with("master"), "it is not the old primary that told");
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
