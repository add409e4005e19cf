//! Thousands of callers at once on a healthy server: hits stay hits, and what was computed is stored.
//!
//! The tests count answers. Deadlines and the wait in the queue are long, because the machine may be busy with other
//! tests; `benches/shared` has the same loads with the default settings.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Stats, Store, async_cached};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::task::JoinSet;

use crate::support::SOON;

/// The full numbers take a debug build too long.
const fn many(callers: u64) -> u64 {
    if cfg!(debug_assertions) { callers / 10 } else { callers }
}

/// Longer than an answer takes, and far shorter than all answers together.
const DEADLINE: Duration = Duration::from_millis(300);
/// So few that operations wait for far longer than the deadline.
const MAX_IN_FLIGHT: usize = 8;

fn redis_at(server: &RedisServer) -> Arc<dyn Store> {
    let config = RedisConfig::new(server.url()).connect_timeout(SOON).deadline(DEADLINE);
    Arc::new(Redis::new(config.max_in_flight(MAX_IN_FLIGHT).max_queue_wait(SOON)).unwrap())
}

fn memcached_at(server: &MemcachedServer) -> Arc<dyn Store> {
    let config = MemcachedConfig::new(server.addr()).connect_timeout(SOON).deadline(DEADLINE);
    Arc::new(Memcached::new(config.max_in_flight(MAX_IN_FLIGHT).max_queue_wait(SOON)).unwrap())
}

macro_rules! under_load {
    ($($backend:ident: $start:ty, $store:ident;)*) => {$(
        mod $backend {
            use super::*;

            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            fn store() -> Arc<dyn Store> {
                Arc::clone(STORE.get_or_init(|| {
                    static SERVER: OnceLock<$start> = OnceLock::new();
                    $store(SERVER.get_or_init(<$start>::start))
                }))
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn looping_tasks_are_answered_from_the_store() {
                #[async_cached(ttl = 600, backend = store())]
                async fn looping(key: u64) -> u64 {
                    key
                }

                for callers in [many(5_000), many(20_000)] {
                    let keys = 1_000;
                    at_once(0..keys, looping).await;
                    let before = looping::stats();
                    let mut tasks = JoinSet::new();
                    for task in 0..callers {
                        tasks.spawn(async move {
                            for round in 0..10 {
                                let key = (task + 7 * round) % keys;
                                assert_eq!(looping(key).await, key);
                            }
                        });
                    }
                    tasks.join_all().await;
                    assert_share(&before, &looping::stats(), 10 * callers, 999);
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_burst_is_answered_from_the_store() {
                #[async_cached(ttl = 600, backend = store())]
                async fn burst(key: u64) -> u64 {
                    key
                }

                let callers = many(50_000);
                for start in (0..callers).step_by(500) {
                    at_once(start..start + 500, burst).await;
                }
                let before = burst::stats();
                at_once(0..callers, burst).await;
                assert_share(&before, &burst::stats(), callers, 990);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn cold_callers_store_their_values() {
                #[async_cached(ttl = 600, backend = store())]
                async fn cold(key: u64) -> u64 {
                    tokio::task::yield_now().await;
                    key
                }

                for (start, callers) in [(0, many(5_000)), (100_000, many(10_000)), (200_000, many(20_000))] {
                    at_once(start..start + callers, cold).await;
                    let before = cold::stats();
                    for start in (start..start + callers).step_by(500) {
                        at_once(start..start + 500, cold).await;
                    }
                    assert_share(&before, &cold::stats(), callers, 999);
                }
            }
        }
    )*};
}

under_load! {
    redis: RedisServer, redis_at;
    memcached: MemcachedServer, memcached_at;
}

/// Calls a function with all keys at once, each in a task.
pub(crate) async fn at_once<F>(keys: std::ops::Range<u64>, call: fn(u64) -> F)
where
    F: Future<Output = u64> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for key in keys {
        tasks.spawn(async move { assert_eq!(call(key).await, key) });
    }
    tasks.join_all().await;
}

/// Asserts that at least so many of a thousand calls were answered from the store.
pub(crate) fn assert_share(before: &Stats, after: &Stats, calls: u64, per_mille: u64) {
    let hits = after.shared_hits - before.shared_hits;
    assert!(hits * 1_000 >= calls * per_mille, "{hits} of {calls} calls: {after:?}");
}
