//! The companions of a cached function, in memory and in a shared store.

use std::future::Future;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use cached_runtime::{
    CacheInfo, Memcached, MemcachedConfig, Redis, RedisConfig, Stats, async_cached, caches,
};
use cached_tests::map_store::MapStore;
use cached_tests::runs::Runs;
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::sync::Semaphore;
use tokio::time::timeout;

static MAP: LazyLock<MapStore> = LazyLock::new(MapStore::default);

/// Returns the number of calls: each is counted in exactly one of these.
fn calls(stats: Stats) -> u64 {
    stats.hits + stats.computed + stats.joined + stats.shared_hits
}

/// Returns the hits of both tiers, and the computations.
fn hits_and_computed(stats: Stats) -> (u64, u64) {
    (stats.hits + stats.shared_hits, stats.computed)
}

fn find(name: &str) -> CacheInfo {
    let mut found = caches().into_iter().filter(|cache| cache.name().ends_with(name));
    let cache = found.next().unwrap_or_else(|| panic!("{name} is not in {:?}", caches()));
    assert!(found.next().is_none(), "{name} is listed twice");
    cache
}

macro_rules! companions {
    ($module:ident $($backend:tt)*) => {
        mod $module {
            use super::*;

            mod of_a_function {
                use super::*;

                #[async_cached(ttl = 60, skip(add) $($backend)*)]
                async fn sum(add: u64, a: u64, b: &str) -> Result<u64, String> {
                    static RUNS: Runs = Runs::new();
                    match RUNS.next() {
                        _ if add == 0 => Err(format!("nothing to add to {a} {b}")),
                        run => Ok(run),
                    }
                }

                #[tokio::test]
                async fn each_companion_works() {
                    assert_eq!(sum::peek(1, "a").await, None);
                    assert_eq!(sum::stats().computed, 0, "a peek computes nothing");
                    assert_eq!(sum(1, 1, "a").await, Ok(1));
                    assert_eq!(sum(2, 1, "a").await, Ok(1), "a skipped argument is not in the key");
                    assert_eq!(sum::peek(1, "a").await, Some(Ok(1)));

                    sum::invalidate(1, "a").await.unwrap();
                    assert_eq!(sum::peek(1, "a").await, None);
                    assert_eq!(sum(1, 1, "a").await, Ok(2));

                    sum::put(1, "a", 10).await.unwrap();
                    assert_eq!(sum(1, 1, "a").await, Ok(10));
                    sum::put(1, "a", Ok(11)).await.unwrap();
                    assert_eq!(sum(1, 1, "a").await, Ok(11));
                    sum::put(1, "a", Err("unknown".to_owned())).await.unwrap();
                    assert_eq!(sum::peek(1, "a").await, None, "an `Err` is not stored, and removes the older value");
                }

                #[async_cached(ttl = 60, skip(add) $($backend)*)]
                async fn product(add: u64, a: u64) -> Result<u64, String> {
                    static RUNS: Runs = Runs::new();
                    let run = RUNS.next();
                    if add == 0 { Err(format!("{a} {run}")) } else { Ok(run) }
                }

                #[tokio::test]
                async fn a_refresh_replaces_unless_it_fails() {
                    assert_eq!(product(1, 7).await, Ok(1));
                    assert_eq!(product::refresh(1, 7).await, Ok(2));
                    assert_eq!(product(1, 7).await, Ok(2));
                    assert_eq!(product::refresh(0, 7).await, Err("7 3".to_owned()));
                    assert_eq!(product(1, 7).await, Ok(2), "the old value is kept");
                    assert_eq!(product::refresh(1, 8).await, Ok(4), "no old value is required");
                    assert_eq!(product(1, 8).await, Ok(4));
                }

                #[async_cached(ttl = 60 $($backend)*)]
                async fn plain(a: u64) -> u64 {
                    static RUNS: Runs = Runs::new();
                    RUNS.next() + a
                }

                #[tokio::test]
                async fn uncached_neither_reads_nor_writes() {
                    assert_eq!(plain::uncached(0).await, 1);
                    assert_eq!(plain::peek(0).await, None);
                    assert_eq!(plain(0).await, 2);
                    assert_eq!(plain::uncached(0).await, 3);
                    assert_eq!(plain(0).await, 2);
                    assert_eq!(hits_and_computed(plain::stats()), (1, 1));
                }

                #[async_cached(ttl = 60 $($backend)*)]
                async fn cleared(a: u64) -> u64 {
                    a
                }

                #[async_cached(ttl = 60 $($backend)*)]
                async fn other(a: u64) -> u64 {
                    a
                }

                #[tokio::test]
                async fn clear_is_for_one_function() {
                    for a in 0..50 {
                        cleared(a).await;
                        other(a).await;
                    }
                    cleared::clear().await.unwrap();
                    for a in 0..50 {
                        assert_eq!((cleared::peek(a).await, other::peek(a).await), (None, Some(a)));
                    }
                    assert_eq!(cleared(1).await, 1);
                    assert_eq!(cleared::peek(1).await, Some(1), "values are stored again");
                }

                #[async_cached(ttl = 60 $($backend)*)]
                async fn perhaps(a: u64) -> Option<u64> {
                    (a > 0).then_some(a)
                }

                #[tokio::test]
                async fn put_takes_the_inner_value() {
                    perhaps::put(0, 5).await.unwrap();
                    assert_eq!(perhaps(0).await, Some(5));
                    perhaps::put(0, Some(6)).await.unwrap();
                    assert_eq!(perhaps(0).await, Some(6));
                    perhaps::put(0, None).await.unwrap();
                    assert_eq!(perhaps(0).await, None);
                }

                #[async_cached(ttl = 60 $($backend)*)]
                async fn generic<T: Into<u64> + Number, const N: u64>(a: T) -> u64 {
                    static RUNS: Runs = Runs::new();
                    RUNS.next() * 1_000 + a.into() + N
                }

                #[tokio::test]
                async fn companions_of_a_generic_function_act_on_one_instance() {
                    assert_eq!(generic::<u8, 1>(1).await, 1_002);
                    assert_eq!(generic::<u16, 1>(1).await, 2_002);
                    assert_eq!(generic::<u8, 2>(1).await, 3_003);
                    assert_eq!(generic::peek::<u8, 1>(1).await, Some(1_002));
                    generic::invalidate::<u8, 1>(1).await.unwrap();
                    assert_eq!(generic::peek::<u8, 1>(1).await, None);
                    assert_eq!(generic::peek::<u16, 1>(1).await, Some(2_002));
                    generic::put::<u16, 1>(1, 5).await.unwrap();
                    assert_eq!(generic::<u16, 1>(1).await, 5);
                    assert_eq!(generic::refresh::<u16, 1>(1).await, 4_002);
                    assert_eq!(generic::uncached::<u16, 1>(1).await, 5_002);
                    assert_eq!(generic::<u16, 1>(1).await, 4_002);
                    generic::clear::<u16, 1>().await.unwrap();
                    assert_eq!(generic::peek::<u16, 1>(1).await, None);
                    assert_eq!(generic::peek::<u8, 2>(1).await, Some(3_003));
                    assert_eq!(generic::stats::<u8, 1>().computed, 4, "counted together");
                }
            }

            mod of_a_method {
                use super::*;

                #[derive(Clone, PartialEq, Eq, Hash, serde::Serialize)]
                struct Repo(u64);

                impl Repo {
                    #[async_cached(ttl = 60, skip(self) $($backend)*)]
                    pub(super) async fn none(&self) -> u64 {
                        self.0
                    }

                    #[async_cached(ttl = 60, skip(self) $($backend)*)]
                    pub(super) async fn one(&self, id: u64) -> Option<u64> {
                        (self.0 > 0).then_some(self.0 + id)
                    }

                    #[async_cached(ttl = 60, skip(self) $($backend)*)]
                    pub(super) async fn several(&self, id: u64, name: &str) -> Result<u64, String> {
                        if self.0 == 0 { Err(name.to_owned()) } else { Ok(self.0 + id) }
                    }

                    #[async_cached(ttl = 60, key = (self, id) $($backend)*)]
                    pub(super) async fn with_self(&self, id: u64) -> u64 {
                        static RUNS: Runs = Runs::new();
                        RUNS.next() + id * 0
                    }

                    #[async_cached(ttl = 60, associated $($backend)*)]
                    pub(super) async fn associated(id: u64) -> u64 {
                        static RUNS: Runs = Runs::new();
                        RUNS.next() + id * 0
                    }
                }

                #[tokio::test]
                async fn without_a_key() {
                    assert_eq!(Repo::none_cache().peek(()).await, None);
                    assert_eq!((Repo(1).none().await, Repo(2).none().await), (1, 1));
                    Repo::none_cache().invalidate(()).await.unwrap();
                    assert_eq!(Repo(2).none().await, 2);
                    Repo::none_cache().put((), 3).await.unwrap();
                    assert_eq!(Repo(1).none().await, 3);
                    assert_eq!(Repo(4).none_refresh().await, 4);
                    assert_eq!(Repo(5).none_uncached().await, 5);
                    assert_eq!(Repo(1).none().await, 4);
                    assert_eq!(hits_and_computed(Repo::none_cache().stats()), (3, 3));
                }

                #[tokio::test]
                async fn with_one_argument_in_the_key() {
                    assert_eq!(Repo(1).one(1).await, Some(2));
                    assert_eq!(Repo::one_cache().peek(1).await, Some(Some(2)));
                    assert_eq!(Repo::one_cache().peek(2).await, None);
                    Repo::one_cache().put(2, 9).await.unwrap();
                    assert_eq!(Repo(1).one(2).await, Some(9));
                    Repo::one_cache().invalidate(1).await.unwrap();
                    assert_eq!(Repo(0).one(1).await, None);
                    assert_eq!(Repo(0).one_refresh(2).await, None);
                    assert_eq!(Repo::one_cache().peek(2).await, None, "a result that is not stored removes the old value");
                    Repo::one_cache().clear().await.unwrap();
                    assert_eq!(Repo::one_cache().peek(2).await, None);
                }

                #[tokio::test]
                async fn with_several_arguments_in_the_key() {
                    assert_eq!(Repo(1).several(1, "a").await, Ok(2));
                    assert_eq!(Repo::several_cache().peek((1, "a")).await, Some(Ok(2)));
                    Repo::several_cache().put((1, "b"), 7).await.unwrap();
                    assert_eq!(Repo(1).several(1, "b").await, Ok(7));
                    assert_eq!(Repo(0).several_refresh(1, "b").await, Err("b".to_owned()));
                    assert_eq!(Repo(0).several(1, "b").await, Ok(7));
                    Repo::several_cache().invalidate((1, "a")).await.unwrap();
                    assert_eq!(Repo(0).several(1, "a").await, Err("a".to_owned()));
                    assert_eq!(Repo(1).several_uncached(1, "a").await, Ok(2));
                    assert_eq!(Repo::several_cache().peek((1, "a")).await, None);
                }

                #[tokio::test]
                async fn with_self_in_the_key() {
                    let (a, b) = (Repo(1), Repo(2));
                    assert_eq!((a.with_self(1).await, b.with_self(1).await), (1, 2));
                    Repo::with_self_cache().invalidate((&a, 1)).await.unwrap();
                    assert_eq!(Repo::with_self_cache().peek((&a, 1)).await, None);
                    assert_eq!(Repo::with_self_cache().peek((&b, 1)).await, Some(2));
                    assert_eq!((a.with_self(1).await, b.with_self(1).await), (3, 2));
                    Repo::with_self_cache().put((&b, 1), 9).await.unwrap();
                    assert_eq!((a.with_self(1).await, b.with_self(1).await), (3, 9));
                    assert_eq!(b.with_self_refresh(1).await, 4);
                    assert_eq!((a.with_self(1).await, b.with_self(1).await), (3, 4));
                }

                #[tokio::test]
                async fn of_an_associated_function() {
                    assert_eq!((Repo::associated(5).await, Repo::associated(5).await), (1, 1));
                    Repo::associated_cache().invalidate(5).await.unwrap();
                    assert_eq!(Repo::associated(5).await, 2);
                    assert_eq!(Repo::associated_refresh(5).await, 3);
                    assert_eq!(Repo::associated_uncached(5).await, 4);
                    assert_eq!(Repo::associated_cache().peek(5).await, Some(3));
                }
            }

            mod of_a_trait {
                use super::*;

                trait Find {
                    async fn find(&self, id: u64, lang: &str) -> u64;
                    #[allow(dead_code, reason = "it is never called")]
                    async fn never(&self) -> u64;
                }

                struct Repo;

                #[async_cached]
                impl Find for Repo {
                    #[async_cached(ttl = 60, skip(self) $($backend)*)]
                    async fn find(&self, id: u64, lang: &str) -> u64 {
                        static RUNS: Runs = Runs::new();
                        let _ = (id, lang);
                        RUNS.next()
                    }

                    #[async_cached(ttl = 60, skip(self) $($backend)*)]
                    async fn never(&self) -> u64 {
                        0
                    }
                }

                #[tokio::test]
                async fn each_companion_works_before_the_first_call() {
                    Repo::never_cache().invalidate(()).await.unwrap();
                    Repo::never_cache().clear().await.unwrap();
                    assert_eq!(calls(Repo::never_cache().stats()), 0);

                    Repo::find_cache().put((1, "en"), 7).await.unwrap();
                    assert_eq!((Repo.find(1, "en").await, Repo.find(1, "de").await), (7, 1));
                    Repo::find_cache().invalidate((1, "en")).await.unwrap();
                    assert_eq!((Repo.find(1, "en").await, Repo.find(1, "de").await), (2, 1));
                    assert_eq!(Repo.find_lookup(1, "en").await.value, 2);
                    assert_eq!((Repo.find_refresh(1, "en").await, Repo.find_uncached(1, "en").await), (3, 4));
                    Repo::find_cache().clear().await.unwrap();
                    assert_eq!(Repo::find_cache().peek((1, "de")).await, None);
                    assert_eq!(hits_and_computed(Repo::find_cache().stats()), (3, 3));
                }
            }

            #[async_cached(ttl = 60 $($backend)*)]
            async fn busy(a: u64) -> Result<u64, String> {
                tokio::task::yield_now().await;
                if a == 0 { Err("zero".to_owned()) } else { Ok(a) }
            }

            #[tokio::test]
            async fn every_call_is_counted_once() {
                let mut all = tokio::task::JoinSet::new();
                for n in 0..500 {
                    all.spawn(busy(n % 7));
                }
                while all.join_next().await.is_some() {}
                for n in 0..20 {
                    let _ = busy(n).await;
                    busy::peek(n).await;
                    let _ = busy::uncached(n).await;
                }
                let stats = busy::stats();
                assert_eq!(calls(stats), 520, "{stats:?}");
                assert_eq!(stats.rejected_fills + stats.store_errors + stats.undecodable, 0, "{stats:?}");
            }

            #[async_cached(ttl = 61, cache_err = 7, version = 3 $($backend)*)]
            async fn listed(a: u64) -> Result<u64, String> {
                Ok(a)
            }

            #[allow(dead_code, reason = "its companion is called, and it is not")]
            #[async_cached(ttl = 60 $($backend)*)]
            async fn listed_by_its_companion(a: u64) -> u64 {
                a
            }

            #[allow(dead_code, reason = "it is never called")]
            #[async_cached(ttl = 60 $($backend)*)]
            async fn never_used(a: u64) -> u64 {
                a
            }

            #[tokio::test]
            async fn every_function_is_listed_with_its_options() {
                listed(1).await.unwrap();
                listed(1).await.unwrap();
                listed_by_its_companion::peek(1).await;
                let module = module_path!();
                assert_eq!(find(&format!("{module}::never_used")).stats(), Stats::default());
                find(&format!("{module}::listed_by_its_companion"));
                let cache = find(&format!("{module}::listed"));
                assert_eq!(hits_and_computed(cache.stats()), (1, 1));
                let options = format!("{:?}", cache.options());
                for part in ["61s", "7s", "version: 3"] {
                    assert!(options.contains(part), "{part} is not in {options}");
                }
                cache.clear().await.unwrap();
                assert_eq!(listed::peek(1).await, None);
            }
        }
    };
}

/// The bounds of a type parameter in a key.
trait Number: std::hash::Hash + Eq + Clone + Send + Sync + serde::Serialize + 'static {}

impl Number for u8 {}
impl Number for u16 {}

companions!(in_memory);
companions!(in_a_store, backend = &*MAP);

/// A source whose reads signal that they have read, and return when the test lets them.
struct Source {
    value: Runs,
    has_read: Semaphore,
    go: Semaphore,
}

impl Source {
    const fn new() -> Self {
        Self { value: Runs::new(), has_read: Semaphore::const_new(0), go: Semaphore::const_new(0) }
    }

    async fn read(&self) -> u64 {
        let value = self.value.count();
        self.has_read.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        value
    }

    /// Changes the value and then the cache by `update`, while a call computes from the old value.
    ///
    /// Returns the result of a call that begins after that and before the old call has ended. It may have to wait for the
    /// old call: a lease outlives a `clear`.
    async fn change_in_flight<C, T>(&self, call: impl Fn() -> C, update: impl Fn() -> T) -> u64
    where
        C: Future<Output = u64> + Send + 'static,
        T: Future<Output = cached_runtime::Result<()>>,
    {
        let old = tokio::spawn(call());
        self.has_read.acquire().await.unwrap().forget();
        self.value.next();
        update().await.unwrap();
        let next = tokio::spawn(call());
        // If the next call need not wait, it begins to compute before the old call ends.
        if let Ok(read) = timeout(Duration::from_millis(300), self.has_read.acquire()).await {
            read.unwrap().forget();
        }
        self.go.add_permits(1);
        assert_eq!(old.await.unwrap(), 0, "the old caller gets its own result");
        self.go.add_permits(1);
        let next = next.await.unwrap();
        for _ in 0..3 {
            assert_eq!(call().await, next, "the old result is not stored");
        }
        next
    }
}

/// Changes of the cache while the old value is being computed.
macro_rules! changes {
    ($test:ident, $start:expr $(, $backend:ident = $store:expr)?) => {
        #[tokio::test]
        async fn $test() {
            static INVALIDATED: Source = Source::new();
            static PUT: Source = Source::new();
            static CLEARED: Source = Source::new();

            #[async_cached(ttl = 60 $(, $backend = $store)?)]
            async fn invalidated(_id: u64) -> u64 {
                INVALIDATED.read().await
            }

            #[async_cached(ttl = 60 $(, $backend = $store)?)]
            async fn put(_id: u64) -> u64 {
                PUT.read().await
            }

            #[async_cached(ttl = 60 $(, $backend = $store)?)]
            async fn cleared(_id: u64) -> u64 {
                CLEARED.read().await
            }

            let _server = $start;
            assert_eq!(INVALIDATED.change_in_flight(|| invalidated(1), || invalidated::invalidate(1)).await, 1);
            assert_eq!(PUT.change_in_flight(|| put(1), || put::put(1, 7)).await, 7);
            assert_eq!(CLEARED.change_in_flight(|| cleared(1), cleared::clear).await, 1);
            assert_eq!(invalidated::stats().rejected_fills, 1, "the old result was rejected");
        }
    };
}

static REDIS: OnceLock<Redis> = OnceLock::new();
static MEMCACHED: OnceLock<Memcached> = OnceLock::new();
const LONG_DEADLINE: Duration = Duration::from_secs(10);

fn start_redis() -> RedisServer {
    let server = RedisServer::start();
    let config = RedisConfig::new(server.url()).deadline(LONG_DEADLINE).connect_timeout(LONG_DEADLINE);
    REDIS.set(Redis::new(config).unwrap()).unwrap();
    server
}

fn start_memcached() -> MemcachedServer {
    let server = MemcachedServer::start();
    let config = MemcachedConfig::new(server.addr()).deadline(LONG_DEADLINE).connect_timeout(LONG_DEADLINE);
    MEMCACHED.set(Memcached::new(config).unwrap()).unwrap();
    server
}

changes!(a_change_in_flight_is_seen_in_memory, ());
changes!(a_change_in_flight_is_seen_in_a_map, (), backend = &*MAP);
changes!(a_change_in_flight_is_seen_in_redis, start_redis(), backend = REDIS.get().unwrap());
changes!(a_change_in_flight_is_seen_in_memcached, start_memcached(), backend = MEMCACHED.get().unwrap());
