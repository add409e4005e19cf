//! Large values have a connection and time of their own: small ones do not wait behind them.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use bytes::Bytes;
use cached_runtime::{
    Key, LastAttempt, Lease, LeaseMode, Memcached, MemcachedConfig, Redis, RedisConfig, Source, Store,
    ValueId, async_cached, invalidate_tag,
};
use cached_tests::in_own_process;
use cached_tests::own_process::only;
use cached_tests::proxy::Proxy;
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::load::{assert_share, at_once};
use crate::servers::eventually;
use crate::support::{LONG_DEADLINE, SOON, acquire, until};

/// The size of a large value, in bytes.
const SIZE: usize = if cfg!(debug_assertions) { 8_000_000 } else { 20_000_000 };
/// The size above which a value is large.
const LARGE: usize = 256 * 1024;
/// The size of a value that takes more than half a second behind the proxy.
const SLOW: usize = 4_000_000;
/// The delay of the proxy, which forwards 64 KiB at a time.
const DELAY: Duration = Duration::from_millis(10);
/// Far shorter than such a value takes behind the proxy.
const DEADLINE: Duration = Duration::from_millis(200);
/// The environment variable with the server that another process writes to.
const SERVER_OF_WRITER: &str = "CACHED_TESTS_SERVER_OF_WRITER";
const TERM: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(60);

fn memcached_server() -> MemcachedServer {
    MemcachedServer::start_with(&["-I", "128m", "-m", "512"])
}

/// The settings that these tests vary.
#[derive(Clone, Copy)]
struct Limits {
    deadline: Duration,
    max_queue_wait: Duration,
    /// In bytes per second.
    min_transfer_rate: u64,
}

impl Limits {
    const DEFAULT: Self = Self { deadline: DEADLINE, max_queue_wait: SOON, min_transfer_rate: 1_000_000 };
}

fn redis_at(addr: &str, limits: Limits) -> Arc<dyn Store> {
    let config = RedisConfig::new(format!("redis://{addr}"))
        .connect_timeout(SOON)
        .deadline(limits.deadline)
        .max_queue_wait(limits.max_queue_wait)
        .min_transfer_rate(limits.min_transfer_rate);
    Arc::new(Redis::new(config).unwrap())
}

fn memcached_at(addr: &str, limits: Limits) -> Arc<dyn Store> {
    let config = MemcachedConfig::new(addr)
        .connect_timeout(SOON)
        .deadline(limits.deadline)
        .max_queue_wait(limits.max_queue_wait)
        .min_transfer_rate(limits.min_transfer_rate)
        .max_value_bytes(100_000_000);
    Arc::new(Memcached::new(config).unwrap())
}

fn key(name: &str) -> Key {
    Key::new("large values", name).unwrap()
}

fn value(bytes: usize) -> Bytes {
    vec![b'V'; bytes].into()
}

async fn get_large(store: &dyn Store, key: &Key, bytes: usize) -> Option<usize> {
    let values = store.get_large(std::slice::from_ref(key), bytes).await.unwrap();
    values[0].as_ref().map(Bytes::len)
}

macro_rules! large_values {
    ($($backend:ident: $start:expr, $store_at:ident, $reads:expr;)*) => {$(
        mod $backend {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn small_reads_do_not_wait_behind_large_values() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn small(key: u64) -> u64 {
                    key
                }

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn large(key: u64) -> String {
                    key.to_string().repeat(SIZE)
                }

                let server = $start;
                // Encoding the large values keeps the threads of a debug build busy.
                let (deadline, max_queue_wait) = if cfg!(debug_assertions) {
                    (SOON, SOON)
                } else {
                    (Duration::from_millis(300), Duration::from_secs(1))
                };
                let limits = Limits { deadline, max_queue_wait, min_transfer_rate: 10_000_000 };
                let _ = STORE.set($store_at(&server.addr(), limits));
                at_once(0..100, small).await;
                let mut writing = JoinSet::new();
                for key in 0..4 {
                    writing.spawn(async move {
                        loop {
                            assert_eq!(large(key).await.len(), SIZE);
                            large::invalidate(key).await.unwrap();
                        }
                    });
                }
                let before = small::stats();
                // A single read that is late on a busy machine is late for all that share it. If small reads waited behind
                // large values, four in ten calls would compute.
                for _ in 0..60 {
                    at_once(0..100, small).await;
                }
                assert_share(&before, &small::stats(), 6_000, 950);
                assert!(large::stats().computed > 0);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn small_values_are_read_while_large_ones_are_on_their_way() {
                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let store = $store_at(&proxy.addr(), Limits::DEFAULT);
                store.put(&key("small"), "small".into(), None).await.unwrap();
                proxy.delay(DELAY);
                let large = tokio::spawn({
                    let store = Arc::clone(&store);
                    async move {
                        for n in 0.. {
                            let key = key(&n.to_string());
                            let lease = acquire(&*store, &key, TERM, LeaseMode::IfAbsent).await.unwrap();
                            assert!(store.fill(&key, lease, value(SIZE), TTL).await.unwrap());
                            assert_eq!(get_large(&*store, &key, SIZE).await, Some(SIZE));
                            store.remove(&key).await.unwrap();
                        }
                    }
                });
                until("the first large value is on its way", || proxy.accepted() == 2).await;
                let mut hits = 0;
                for _ in 0..200 {
                    let found = store.get(&[key("small")]).await;
                    hits += usize::from(found.is_ok_and(|values| values == [Some("small".into())]));
                }
                assert!(hits >= 190, "{hits} of 200 reads");
                assert!(!large.is_finished());
                large.abort();
            }

            /// The deadline is far too short for the value.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_value_that_takes_longer_than_the_deadline_is_a_hit() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn huge() -> String {
                    "x".repeat(3 * SIZE)
                }

                let server = $start;
                let deadline = Duration::from_millis(if cfg!(debug_assertions) { 40 } else { 4 });
                let _ = STORE.set($store_at(&server.addr(), Limits { deadline, ..Limits::DEFAULT }));
                eventually("the value is stored", async || {
                    huge().await;
                    huge::stats().shared_hits > 0
                })
                .await;
                let before = huge::stats().shared_hits;
                for _ in 0..5 {
                    assert_eq!(huge().await.len(), 3 * SIZE);
                }
                assert!(huge::stats().shared_hits >= before + 4, "{:?}", huge::stats());
            }

            /// Another process has stored the value.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_large_value_that_this_process_has_not_seen_is_a_hit() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
                const THIS: &str = "a_large_value_that_this_process_has_not_seen_is_a_hit";

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn huge() -> String {
                    "x".repeat(SIZE)
                }

                if let Ok(addr) = env::var(SERVER_OF_WRITER) {
                    let _ = STORE.set($store_at(&addr, Limits { deadline: SOON, ..Limits::DEFAULT }));
                    huge().await;
                    huge().await;
                    assert_eq!(huge::stats().shared_hits, 1);
                    return;
                }
                let server = $start;
                let test = format!("large_values::{}::{THIS}", stringify!($backend));
                assert!(only(&test).env(SERVER_OF_WRITER, server.addr()).status().unwrap().success());
                let proxy = Proxy::start(&server.addr());
                proxy.delay(DELAY);
                let _ = STORE.set($store_at(&proxy.addr(), Limits::DEFAULT));
                // The reads of all calls miss their deadline, and keep the main connection busy meanwhile.
                let calls: JoinSet<_> = (0..20).map(|_| huge()).collect();
                assert!(calls.join_all().await.iter().all(|value| value.len() == SIZE));
                let stats = huge::stats();
                assert_eq!((stats.shared_hits, stats.computed, stats.store_errors), (20, 0, 0));
            }

            /// A large value delays the small ones of its batch, which may be the first to ask for their size.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_large_value_among_small_ones_that_this_process_has_not_seen_is_a_hit() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
                const THIS: &str = "a_large_value_among_small_ones_that_this_process_has_not_seen_is_a_hit";
                const COUNT: u64 = 12;

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn mixed(key: u64) -> String {
                    "x".repeat(if key % 3 == 2 && key > 2 { SLOW } else { 1 })
                }

                if let Ok(addr) = env::var(SERVER_OF_WRITER) {
                    let _ = STORE.set($store_at(&addr, Limits { deadline: SOON, ..Limits::DEFAULT }));
                    for key in (0..COUNT).chain(0..COUNT) {
                        mixed(key).await;
                    }
                    assert_eq!(mixed::stats().shared_hits, COUNT);
                    return;
                }
                let server = $start;
                let test = format!("large_values::{}::{THIS}", stringify!($backend));
                assert!(only(&test).env(SERVER_OF_WRITER, server.addr()).status().unwrap().success());
                let proxy = Proxy::start(&server.addr());
                proxy.delay(DELAY);
                let _ = STORE.set($store_at(&proxy.addr(), Limits::DEFAULT));
                let calls: JoinSet<_> = (0..COUNT).map(mixed).collect();
                calls.join_all().await;
                let stats = mixed::stats();
                assert_eq!((stats.shared_hits, stats.computed, stats.store_errors), (COUNT, 0, 0));
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_hung_server_is_a_bounded_delay_also_after_a_large_value() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn mixed(key: u64) -> String {
                    key.to_string().repeat(if key == 0 { SIZE } else { 1 })
                }

                let server = $start;
                let limits = Limits { min_transfer_rate: 10_000_000, ..Limits::DEFAULT };
                let _ = STORE.set($store_at(&server.addr(), limits));
                for _ in 0..2 {
                    let all: JoinSet<_> = (0..200).map(mixed).collect();
                    all.join_all().await;
                }
                server.stop();
                // If each of the keys of a batch had the time of the large value, this would take minutes.
                let begun = Instant::now();
                let small: JoinSet<_> = (1..100).map(mixed).collect();
                small.join_all().await;
                let took = begun.elapsed();
                server.cont();
                assert!(took < SOON, "{took:?}");
            }

            #[tokio::test]
            async fn large_reads_and_fills_share_a_second_connection() {
                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let store = $store_at(&proxy.addr(), Limits { deadline: LONG_DEADLINE, ..Limits::DEFAULT });
                let fill = async |name: &str, bytes| {
                    let lease = acquire(&*store, &key(name), TERM, LeaseMode::IfAbsent).await.unwrap();
                    assert!(store.fill(&key(name), lease, value(bytes), TTL).await.unwrap());
                };
                fill("small", LARGE / 2).await;
                assert_eq!(get_large(&*store, &key("small"), LARGE).await, Some(LARGE / 2));
                // It could overtake an invalidation on another connection.
                store.put(&key("put"), value(SIZE), None).await.unwrap();
                assert_eq!(proxy.accepted(), 1);

                fill("large", LARGE + 1).await;
                assert_eq!(get_large(&*store, &key("large"), LARGE + 1).await, Some(LARGE + 1));
                assert_eq!(get_large(&*store, &key("put"), SIZE).await, Some(SIZE));
                assert_eq!(get_large(&*store, &key("missing"), SIZE).await, None);
                assert_eq!((proxy.accepted(), proxy.open()), (2, 2));
            }

            #[tokio::test]
            async fn a_value_that_takes_seconds_is_stored_and_read_on_one_connection() {
                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let store = $store_at(&proxy.addr(), Limits::DEFAULT);
                let key = key("slow");
                for (mode, bytes) in [(LeaseMode::IfAbsent, SIZE), (LeaseMode::Replace, SLOW)] {
                    proxy.delay(Duration::ZERO);
                    if mode == LeaseMode::Replace {
                        // The lease is granted with the old value, on the main connection.
                        store.put(&key, "old".into(), None).await.unwrap();
                    }
                    let lease = acquire(&*store, &key, TERM, mode).await.unwrap();
                    proxy.delay(DELAY);
                    assert!(store.fill(&key, lease, value(bytes), TTL).await.unwrap());
                    // Two at once wait for each other.
                    let [first, second] = [0, 1].map(|_| get_large(&*store, &key, bytes));
                    assert_eq!(tokio::join!(first, second), (Some(bytes), Some(bytes)));
                }
                assert_eq!(proxy.accepted(), 2);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_fill_that_arrives_after_an_invalidation_stores_nothing() {
                for (mode, change) in [
                    (LeaseMode::IfAbsent, None),
                    (LeaseMode::IfAbsent, Some("new")),
                    (LeaseMode::Replace, None),
                    (LeaseMode::Replace, Some("new")),
                ] {
                    let server = $start;
                    let proxy = Proxy::start(&server.addr());
                    let limits = Limits { deadline: LONG_DEADLINE, ..Limits::DEFAULT };
                    let store = $store_at(&proxy.addr(), limits);
                    let key = key("late");
                    if mode == LeaseMode::Replace {
                        store.put(&key, "old".into(), None).await.unwrap();
                    }
                    let lease = acquire(&*store, &key, TERM, mode).await.unwrap();
                    proxy.delay(DELAY);
                    let filling = tokio::spawn({
                        let (store, key) = (Arc::clone(&store), key.clone());
                        async move { store.fill(&key, lease, value(2 * SLOW), TTL).await }
                    });
                    until("the value is being sent", || proxy.accepted() == 2).await;
                    match change {
                        None => store.remove(&key).await.unwrap(),
                        Some(value) => store.put(&key, value.into(), None).await.unwrap(),
                    }
                    // On one connection, the invalidation would be behind the value.
                    assert!(!filling.await.unwrap().unwrap(), "{mode:?} {change:?}");
                    let there = store.get(&[key]).await.unwrap();
                    assert_eq!(there, [change.map(Bytes::from)], "{mode:?} {change:?}");
                }
            }

            /// Its transfer takes longer than the deadline, so the old value must not be in the way of the new one.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_large_value_is_stored_again_after_it_became_unusable() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
                const TAG: &str = concat!("large values of ", stringify!($backend));

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()), tags(TAG))]
                async fn large(key: u64) -> String {
                    key.to_string().repeat(SLOW)
                }

                // An invalidation of a tag asks the stores of all tests in the process.
                in_own_process!();
                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let _ = STORE.set($store_at(&proxy.addr(), Limits::DEFAULT));
                for key in [1, 2] {
                    large(key).await;
                }
                proxy.delay(DELAY);
                for (key, n) in [(1, 1), (2, 2)] {
                    if key == 1 {
                        large::clear().await.unwrap();
                    } else {
                        invalidate_tag(TAG).await.unwrap();
                    }
                    assert_eq!(large(key).await.len(), SLOW);
                    assert_eq!(large(key).await.len(), SLOW);
                    let stats = large::stats();
                    assert_eq!((stats.computed, stats.shared_hits, stats.store_errors), (2 + n, n, 0));
                }
                assert_eq!(proxy.accepted(), 2);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_large_value_can_be_made_stale_and_is_refreshed() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(
                    ttl = 600,
                    backend = Arc::clone(STORE.get().unwrap()),
                    stale_while_revalidate = "1h",
                )]
                async fn large() -> String {
                    "v".repeat(SLOW)
                }

                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let _ = STORE.set($store_at(&proxy.addr(), Limits::DEFAULT));
                large().await;
                proxy.delay(DELAY);
                large::expire().await.unwrap();
                assert_eq!(large::lookup().await.source, Source::Stale);
                eventually("the refreshed value is used", async || {
                    large::lookup().await.source == Source::Shared
                })
                .await;
                let stats = large::stats();
                assert_eq!((stats.computed, stats.background_refreshes, stats.store_errors), (1, 1, 0));
            }

            #[tokio::test]
            async fn a_lease_is_acquired_without_the_transfer_of_the_value() {
                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let store = $store_at(&proxy.addr(), Limits { max_queue_wait: SOON, ..Limits::DEFAULT });
                let (old, other) = (value(SLOW), Bytes::from(vec![b'W'; SLOW]));
                let [same, another] =
                    [&old, &other].map(|value| LeaseMode::IfUnchanged(ValueId::of(value)));
                store.put(&key("large"), old, None).await.unwrap();
                proxy.delay(DELAY);
                for (mode, expected) in [
                    (LeaseMode::IfAbsent, (false, true)),
                    (LeaseMode::Replace, (true, false)),
                    (another, (false, true)),
                    (same, (true, false)),
                ] {
                    let (key, lease) = (key("large"), Lease::random());
                    let acquired = store.acquire(&key, lease, TERM, mode).await.unwrap();
                    assert_eq!((acquired.is_granted, acquired.is_filled), expected, "{mode:?}");
                    store.release(&key, lease, LastAttempt::Unknown).await.unwrap();
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn small_values_are_hits_while_large_ones_are_put() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn small(key: u64) -> u64 {
                    key
                }

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn large(key: u64) -> String {
                    format!("computed {key}")
                }

                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let _ = STORE.set($store_at(&proxy.addr(), Limits::DEFAULT));
                small(0).await;
                proxy.delay(DELAY);
                let putting = tokio::spawn(large::put(0, "v".repeat(SLOW)));
                until("the value is on its way", || proxy.accepted() == 2).await;
                let before = small::stats().shared_hits;
                for _ in 0..20 {
                    small(0).await;
                }
                assert!(!putting.is_finished());
                assert!(small::stats().shared_hits - before >= 19, "{:?}", small::stats());
                putting.await.unwrap().unwrap();
                assert_eq!(large(0).await.len(), SLOW);
                assert_eq!((large::stats().computed, proxy.accepted()), (0, 2));
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_large_put_ends_a_computation() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
                static GO: Semaphore = Semaphore::const_new(0);
                static BEGUN: Semaphore = Semaphore::const_new(0);

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn large(key: u64) -> String {
                    BEGUN.add_permits(1);
                    GO.acquire().await.unwrap().forget();
                    format!("computed {key}")
                }

                let server = $start;
                let limits = Limits { deadline: LONG_DEADLINE, ..Limits::DEFAULT };
                let _ = STORE.set($store_at(&server.addr(), limits));
                let computing = tokio::spawn(large(0));
                BEGUN.acquire().await.unwrap().forget();
                large::put(0, "v".repeat(SLOW)).await.unwrap();
                GO.add_permits(1);
                assert_eq!(computing.await.unwrap(), "computed 0");
                assert_eq!(large(0).await.len(), SLOW);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_large_put_is_ended_by_an_invalidation() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn large(key: u64) -> String {
                    format!("computed {key}")
                }

                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let limits = Limits { deadline: LONG_DEADLINE, ..Limits::DEFAULT };
                let _ = STORE.set($store_at(&proxy.addr(), limits));
                assert_eq!(large(0).await, "computed 0");
                proxy.delay(DELAY);
                let putting = tokio::spawn(large::put(0, "v".repeat(2 * SLOW)));
                until("the value is on its way", || proxy.accepted() == 2).await;
                large::invalidate(0).await.unwrap();
                assert!(!putting.is_finished());
                putting.await.unwrap().unwrap();
                assert_eq!(large(0).await, "computed 0");
                assert_eq!(large::stats().computed, 2);
            }

            /// It is not on a connection of its own: only the store knows that it is large.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn what_waits_behind_a_large_put_does_not_replace_the_connection() {
                let server = $start;
                let proxy = Proxy::start(&server.addr());
                let store = $store_at(&proxy.addr(), Limits::DEFAULT);
                store.put(&key("small"), "small".into(), None).await.unwrap();
                proxy.delay(DELAY);
                let putting = tokio::spawn({
                    let store = Arc::clone(&store);
                    async move { store.put(&key("large"), value(SLOW), None).await }
                });
                let mut late = 0;
                while !putting.is_finished() {
                    late += usize::from(store.get(&[key("small")]).await.is_err_and(|error| error.is_timeout()));
                }
                putting.await.unwrap().unwrap();
                assert!(late > 0, "the value was not in the way");
                assert_eq!(store.get(&[key("small")]).await.unwrap(), [Some("small".into())]);
                assert_eq!(proxy.accepted(), 1);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn calls_that_want_one_large_value_share_its_reads() {
                static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

                #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
                async fn large(key: u64) -> String {
                    key.to_string().repeat(SLOW)
                }

                let server = $start;
                let limits = Limits { deadline: LONG_DEADLINE, max_queue_wait: SOON, ..Limits::DEFAULT };
                let _ = STORE.set($store_at(&server.addr(), limits));
                for key in 0..2 {
                    large(key).await;
                }
                let (before, calls) = (($reads)(&server), 60);
                let reading: JoinSet<_> = (0..calls).map(|n| large(n % 2)).collect();
                assert!(reading.join_all().await.iter().all(|value| value.len() == SLOW));
                assert_eq!((large::stats().shared_hits, large::stats().computed), (calls, 2));
                let reads = ($reads)(&server) - before;
                assert!(reads < calls / 2, "{reads} reads for {calls} calls");
            }

            #[tokio::test]
            async fn the_size_of_a_value_is_known_while_it_is_read() {
                let server = $start;
                let writer = $store_at(&server.addr(), Limits { deadline: SOON, ..Limits::DEFAULT });
                let [large, leased, missing] = ["large", "leased", "missing"].map(key);
                writer.put(&large, value(SLOW), None).await.unwrap();
                acquire(&*writer, &leased, TERM, LeaseMode::IfAbsent).await.unwrap();

                let proxy = Proxy::start(&server.addr());
                let reader = $store_at(&proxy.addr(), Limits::DEFAULT);
                assert_eq!(reader.size_of(&leased).await.unwrap(), 0);
                assert_eq!(reader.size_of(&missing).await.unwrap(), 0);
                proxy.delay(DELAY);
                assert!(reader.get(std::slice::from_ref(&large)).await.unwrap_err().is_timeout());
                assert_eq!(reader.size_of(&large).await.unwrap(), SLOW);
                assert_eq!(get_large(&*reader, &large, SLOW).await, Some(SLOW));
            }
        }
    )*};
}

large_values! {
    redis: RedisServer::start(), redis_at, |server: &RedisServer| server.calls("get") + server.calls("mget");
    memcached: memcached_server(), memcached_at, |server: &MemcachedServer| server.stat("cmd_get");
}

/// Values that are not large, of which a batch has few.
mod medium_values {
    use super::*;

    const COUNT: u64 = 300;
    const MEDIUM: usize = 200 * 1024;

    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

    #[async_cached(ttl = 600, name = "medium_values", backend = Arc::clone(STORE.get().unwrap()))]
    async fn written(key: u64) -> String {
        key.to_string().repeat(MEDIUM)[..MEDIUM].to_owned()
    }

    #[async_cached(ttl = 600, name = "medium_values", backend = Arc::clone(STORE.get().unwrap()))]
    async fn read(_key: u64) -> String {
        unreachable!("it is stored")
    }

    /// The server does nothing else while it replies to one command.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_burst_of_values_of_unknown_size_is_many_batches() {
        let server = RedisServer::start();
        let limits = Limits { deadline: LONG_DEADLINE, max_queue_wait: SOON, ..Limits::DEFAULT };
        let _ = STORE.set(redis_at(&server.addr(), limits));
        for key in 0..COUNT {
            written(key).await;
        }
        // Of the first burst, two calls send their reads themselves, and one batch of 16 keys is on its way. All others have five.
        for (burst, batches) in [(1, (COUNT - 18).div_ceil(5)), (2, COUNT.div_ceil(5))] {
            let before = server.calls("mget");
            let reading: JoinSet<_> = (0..COUNT).map(read).collect();
            assert!(reading.join_all().await.iter().all(|value| value.len() == MEDIUM));
            assert_eq!((read::stats().shared_hits, read::stats().store_errors), (burst * COUNT, 0));
            let sent = server.calls("mget") - before;
            assert!(sent >= batches, "{sent} batches of {COUNT} values of {MEDIUM} bytes");
        }
    }
}

/// The versions of one run of a server say nothing about another one.
mod servers_of_memcached {
    use super::*;

    #[tokio::test]
    async fn a_lease_from_before_a_restart_does_not_fill() {
        let mut server = memcached_server();
        let store = memcached_at(&server.addr(), Limits { deadline: LONG_DEADLINE, ..Limits::DEFAULT });
        for mode in [LeaseMode::IfAbsent, LeaseMode::Replace] {
            let (key, missing) = (key(&format!("{mode:?}")), key("missing"));
            let prepare = async || {
                if mode == LeaseMode::Replace {
                    store.put(&key, "old".into(), None).await?;
                }
                let lease = cached_runtime::Lease::random();
                store.acquire(&key, lease, TERM, mode).await.map(|acquired| (lease, acquired.is_granted))
            };
            // Both connections are open.
            let (first, _) = prepare().await.unwrap();
            assert!(store.fill(&key, first, value(SIZE), TTL).await.unwrap());
            store.remove(&key).await.unwrap();
            let (old, _) = prepare().await.unwrap();
            server.restart();
            // The versions start from 1 again.
            eventually("the server is used again", async || {
                store.get(std::slice::from_ref(&missing)).await.is_ok()
            })
            .await;
            let (new, is_granted) = prepare().await.unwrap();
            assert!(is_granted);
            assert!(!store.fill(&key, old, value(LARGE + 1), TTL).await.unwrap(), "{mode:?}");
            assert!(store.fill(&key, new, value(SIZE), TTL).await.unwrap(), "{mode:?}");
            assert_eq!(get_large(&*store, &key, SIZE).await, Some(SIZE));
        }
    }

    /// As behind a balancer, or while a name begins to stand for another machine.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_second_connection_to_another_server_is_not_used() {
        let servers = [memcached_server(), memcached_server()];
        let address = alternating(servers.each_ref().map(MemcachedServer::addr));
        let store = memcached_at(&address, Limits { deadline: LONG_DEADLINE, ..Limits::DEFAULT });
        // On the other server, this value would be found.
        let other = memcached_at(&servers[1].addr(), Limits { deadline: SOON, ..Limits::DEFAULT });
        other.put(&key("removed"), value(SIZE), None).await.unwrap();

        store.remove(&key("removed")).await.unwrap();
        for mode in [LeaseMode::IfAbsent, LeaseMode::Replace] {
            let lease = acquire(&*store, &key("filled"), TERM, mode).await.unwrap();
            assert!(store.fill(&key("filled"), lease, value(SIZE), TTL).await.unwrap(), "{mode:?}");
            assert_eq!(get_large(&*store, &key("filled"), SIZE).await, Some(SIZE));
        }
        assert_eq!(store.size_of(&key("filled")).await.unwrap(), SIZE);
        assert_eq!(get_large(&*store, &key("removed"), SIZE).await, None);
        assert_eq!(other.get(&[key("filled")]).await.unwrap(), [None]);
    }

    /// Starts a listener whose connections lead to one of these addresses after the other. Returns its address.
    fn alternating(upstreams: [String; 2]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for (client, upstream) in listener.incoming().zip(upstreams.iter().cycle()) {
                let (client, server) = (client.unwrap(), TcpStream::connect(upstream).unwrap());
                for (mut from, mut to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    thread::spawn(move || io::copy(&mut from, &mut to));
                }
            }
        });
        address
    }
}
