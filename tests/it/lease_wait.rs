//! How a process waits for the lease of another process: notified, bounded, and for one failure at most (G2, G4).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Redis, RedisConfig, Result,
    Store, Watch, async_cached,
};
#[cfg(feature = "moved-clock")]
use cached_tests::in_own_process;
use cached_tests::map_store::MapStore;
use cached_tests::server::RedisServer;
#[cfg(feature = "moved-clock")]
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Body, SOON, settle, until};

const MINUTE: Duration = Duration::from_secs(60);

/// A store that records the requests for leases, and interferes with them.
struct Recorder {
    store: Arc<dyn Store>,
    /// By key, because tests of one process share the store.
    requests: Mutex<HashMap<Key, Requests>>,
    /// Whether another process acquires every released lease first.
    reacquires: bool,
    /// Whether it notifies of changes.
    notifies: bool,
    /// Whether generations cannot be read, nor made.
    refuses_generations: AtomicBool,
}

/// The requests for the lease of one key.
#[derive(Default)]
struct Requests {
    has_acquired: bool,
    count: usize,
    /// What happens before the next `acquire` arrives.
    first: Option<BoxFuture<'static, ()>>,
    /// How many of the next `acquire` calls fail.
    failures: usize,
    /// How they fail, if not because the connection was cut.
    failure: Option<ErrorKind>,
}

impl Recorder {
    fn new(store: Arc<dyn Store>) -> Self {
        let refuses_generations = AtomicBool::new(false);
        Self { store, requests: Mutex::default(), reacquires: false, notifies: true, refuses_generations }
    }

    /// Returns the number of requests for leases.
    fn count(&self) -> usize {
        self.requests.lock().unwrap().values().map(|requests| requests.count).sum()
    }

    /// Accesses the requests for the lease of a key.
    fn with<T>(&self, key: &Key, access: impl FnOnce(&mut Requests) -> T) -> T {
        access(self.requests.lock().unwrap().entry(key.clone()).or_default())
    }

    /// Returns when `acquire` has completed.
    async fn has_acquired(&self, key: &Key) {
        until("a lease is requested", || self.with(key, |requests| requests.has_acquired)).await;
    }
}

/// Returns the key of a function of three processes.
fn key(function: &str, argument: &str) -> Key {
    Key::new(&format!("lease_wait.{function}.v1"), &(argument,)).unwrap()
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Store for Recorder {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        if self.refuses_generations.load(Ordering::Acquire) {
            return Box::pin(async { Err(Error::new(ErrorKind::Overloaded, "too many reads wait")) });
        }
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
            if let Some(first) = self.with(key, |requests| requests.first.take()) {
                first.await;
            }
            let failure = self.with(key, |Requests { count, failures, failure, .. }| {
                *count += 1;
                let left = failures.checked_sub(1)?;
                *failures = left;
                Some(failure.unwrap_or(ErrorKind::Unreachable))
            });
            if let Some(kind) = failure {
                return Err(Error::new(kind, "the request was not answered"));
            }
            let acquired = self.store.acquire(key, lease, term, mode).await;
            self.with(key, |requests| requests.has_acquired = true);
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
        Box::pin(async move {
            self.store.release(key, lease, attempt).await?;
            if self.reacquires {
                let acquired = self.store.acquire(key, Lease::random(), MINUTE, LeaseMode::IfAbsent).await?;
                assert!(acquired.is_granted);
            }
            Ok(())
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.store.put(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        if self.refuses_generations.load(Ordering::Acquire) {
            return Box::pin(async { Err(Error::new(ErrorKind::Overloaded, "too many writes wait")) });
        }
        self.store.add(key, value, ttl)
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.store.remove(key)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        if self.notifies { self.store.watch(key) } else { Box::pin(async { Ok(None) }) }
    }
}

/// An error that is `Clone`: all waiting callers get it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure;

/// To a store, three functions with one name are like one function in three processes.
macro_rules! three_processes {
    ($store:expr) => {
        three_processes!(process first, $store);
        three_processes!(process second, $store);
        three_processes!(process third, $store);

        #[tokio::test]
        async fn one_failure_costs_one_computation_more() {
            let (fails, works) = (Body::held(), Body::held());
            let failing = tokio::spawn(first::load(Arc::clone(&fails), false, "failed leader"));
            fails.has_begun(1).await;
            let waiting = [
                tokio::spawn(second::load(Arc::clone(&works), true, "failed leader")),
                tokio::spawn(third::load(Arc::clone(&works), true, "failed leader")),
            ];
            second::STORE.has_acquired(&key("shared", "failed leader")).await;
            third::STORE.has_acquired(&key("shared", "failed leader")).await;
            assert_eq!(works.begun(), 0, "one process computes, and the others wait");

            fails.let_all_through();
            assert_eq!(timeout(SOON, failing).await.unwrap().unwrap(), Err(Failure));
            works.has_begun(1).await;
            let (key, stores) = (key("shared", "failed leader"), [&second::STORE, &third::STORE]);
            for store in stores {
                store.with(&key, |requests| requests.has_acquired = false);
            }
            until("the other one asks again", || {
                stores.iter().any(|store| store.with(&key, |requests| requests.has_acquired))
            })
            .await;
            settle().await;
            assert_eq!(works.begun(), 1, "one process tries again, and the other waits for it");

            works.let_all_through();
            for answer in waiting {
                assert_eq!(timeout(SOON, answer).await.unwrap().unwrap(), Ok(1));
            }
            assert_eq!(works.begun(), 1);
        }

        #[tokio::test]
        async fn one_invalidation_costs_one_computation_more() {
            let (old, new) = (Body::held(), Body::held());
            let computing = tokio::spawn(first::load(Arc::clone(&old), true, "invalidated leader"));
            old.has_begun(1).await;
            let waiting = [
                tokio::spawn(second::load(Arc::clone(&new), true, "invalidated leader")),
                tokio::spawn(third::load(Arc::clone(&new), true, "invalidated leader")),
            ];
            second::STORE.has_acquired(&key("shared", "invalidated leader")).await;
            third::STORE.has_acquired(&key("shared", "invalidated leader")).await;
            second::load::invalidate("invalidated leader").await.unwrap();
            new.has_begun(1).await;
            let (key, stores) = (key("shared", "invalidated leader"), [&second::STORE, &third::STORE]);
            for store in stores {
                store.with(&key, |requests| requests.has_acquired = false);
            }
            until("the other one asks again", || {
                stores.iter().any(|store| store.with(&key, |requests| requests.has_acquired))
            })
            .await;
            settle().await;
            old.let_all_through();
            assert_eq!(timeout(SOON, computing).await.unwrap().unwrap(), Ok(1), "it called before");
            assert_eq!(new.begun(), 1, "one process computes, and the other waits for it");
            new.let_all_through();
            for answer in waiting {
                assert_eq!(timeout(SOON, answer).await.unwrap().unwrap(), Ok(1));
            }
            assert_eq!(new.begun(), 1);
        }

        #[tokio::test]
        async fn waiters_compute_at_once_after_a_result_that_cannot_be_stored() {
            let (first, others) = (Body::held(), Body::held());
            let computing = tokio::spawn(first::uncacheable(Arc::clone(&first), "not storable"));
            first.has_begun(1).await;
            let second = tokio::spawn(second::uncacheable(Arc::clone(&others), "not storable"));
            let third = tokio::spawn(third::uncacheable(Arc::clone(&others), "not storable"));
            second::STORE.has_acquired(&key("uncacheable", "not storable")).await;
            third::STORE.has_acquired(&key("uncacheable", "not storable")).await;
            first.let_all_through();
            others.has_begun(2).await;
            assert_eq!(others.running(), 2, "neither gets the result of the other");
            others.let_all_through();
            for answer in [computing, second, third] {
                timeout(SOON, answer).await.unwrap().unwrap();
            }
        }

        #[tokio::test]
        async fn waiters_return_their_stale_value_after_a_failure() {
            let filled = first::or_stale(Body::open(), true, "stale").await;
            assert_eq!(filled, Ok(1));
            first::or_stale::expire("stale").await.unwrap();
            let (fails, unused) = (Body::held(), Body::open());
            let failing = tokio::spawn(first::or_stale(Arc::clone(&fails), false, "stale"));
            fails.has_begun(1).await;
            let waiting = [
                tokio::spawn(second::or_stale(Arc::clone(&unused), true, "stale")),
                tokio::spawn(third::or_stale(Arc::clone(&unused), true, "stale")),
            ];
            second::STORE.has_acquired(&key("or_stale", "stale")).await;
            third::STORE.has_acquired(&key("or_stale", "stale")).await;
            fails.let_all_through();
            assert_eq!(timeout(SOON, failing).await.unwrap().unwrap(), Ok(1), "the stale value");
            for answer in waiting {
                assert_eq!(timeout(SOON, answer).await.unwrap().unwrap(), Ok(1), "the stale value");
            }
            assert_eq!(unused.begun(), 0, "the failure of the other process counts");
        }

        #[tokio::test]
        async fn a_value_computed_without_a_lease_is_not_given_to_later_callers() {
            let (holds, old, new) = (Body::held(), Body::held(), Body::open());
            let holding = tokio::spawn(first::load(Arc::clone(&holds), true, "late"));
            holds.has_begun(1).await;
            let waiting = tokio::spawn(second::load(Arc::clone(&old), true, "late"));
            second::STORE.has_acquired(&key("shared", "late")).await;
            second::STORE.with(&key("shared", "late"), |requests| requests.failures = 2);
            old.has_begun(1).await; // Without a lease.

            // The later calls return values above 2.
            new.run().await;
            new.run().await;
            first::load::invalidate("late").await.unwrap();
            let later = [
                tokio::spawn(second::load(Arc::clone(&new), true, "late")),
                tokio::spawn(third::load(Arc::clone(&new), true, "late")),
            ];
            settle().await;
            old.let_all_through();
            holds.let_all_through();
            timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
            timeout(SOON, holding).await.unwrap().unwrap().unwrap();
            for answer in later {
                let answer = timeout(SOON, answer).await.unwrap().unwrap().unwrap();
                assert!(answer > 2, "computed before a confirmed invalidation");
            }
        }
    };
    (process $process:ident, $store:expr) => {
        mod $process {
            use super::*;

            pub(super) static STORE: LazyLock<Arc<Recorder>> = LazyLock::new(|| Arc::new(Recorder::new($store)));

            #[async_cached(ttl = 600, backend = STORE.clone(), skip(body, works), name = "lease_wait.shared")]
            pub(super) async fn load(body: Arc<Body>, works: bool, key: &'static str) -> Result<usize, Failure> {
                assert!(!key.is_empty());
                let number = body.run().await;
                if works { Ok(number) } else { Err(Failure) }
            }

            #[async_cached(ttl = 600, backend = STORE.clone(), skip(body), cache_if = |_| false, name = "lease_wait.uncacheable")]
            pub(super) async fn uncacheable(body: Arc<Body>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                body.run().await
            }

            #[async_cached(
                ttl = 600, stale_if_error = 600, backend = STORE.clone(), skip(body, works), name = "lease_wait.or_stale"
            )]
            pub(super) async fn or_stale(body: Arc<Body>, works: bool, key: &'static str) -> Result<usize, Failure> {
                assert!(!key.is_empty());
                let number = body.run().await;
                if works { Ok(number) } else { Err(Failure) }
            }
        }
    };
}

/// A process that has read a stale value, and requests the lease after another process has replaced the value.
macro_rules! overtaken {
    ($store:expr) => {
        mod overtaken {
            use super::*;

            static STORE: LazyLock<Arc<Recorder>> = LazyLock::new(|| Arc::new(Recorder::new($store)));

            overtaken!(process this, STORE.clone());
            overtaken!(process other, $store);

            #[tokio::test]
            async fn a_replaced_value_is_not_computed_again() {
                let (key, unused) = (key("replaced", "one"), Body::open());
                other::replaced::put("one", 7).await.unwrap();
                other::replaced::expire("one").await.unwrap();
                let replaces = async { assert_eq!(other::replaced(Body::open(), "one").await, Ok(1)) };
                STORE.with(&key, |requests| requests.first = Some(Box::pin(replaces)));
                assert_eq!(this::replaced(Arc::clone(&unused), "one").await, Ok(1));
                assert_eq!(unused.begun(), 0, "one process computes");
                STORE.has_acquired(&key).await;
            }

            #[tokio::test]
            async fn a_refreshed_value_is_not_refreshed_again() {
                let (key, unused) = (key("refreshed", "one"), Body::open());
                other::refreshed::put("one", 7).await.unwrap();
                other::refreshed::expire("one").await.unwrap();
                let refreshes = async {
                    assert_eq!(other::refreshed(Body::open(), "one").await, 7);
                    while other::refreshed::peek("one").await != Some(1) {
                        settle().await;
                    }
                };
                STORE.with(&key, |requests| requests.first = Some(Box::pin(refreshes)));
                assert_eq!(this::refreshed(Arc::clone(&unused), "one").await, 7);
                STORE.has_acquired(&key).await;
                assert_eq!(unused.begun(), 0, "one process refreshes");
                assert_eq!(this::refreshed(unused, "one").await, 1);
            }
        }
    };
    (process $process:ident, $store:expr) => {
        mod $process {
            use super::*;

            #[async_cached(ttl = 600, stale_if_error = 600, backend = $store, skip(body), name = "lease_wait.replaced")]
            pub(super) async fn replaced(body: Arc<Body>, key: &'static str) -> Result<usize, Failure> {
                assert!(!key.is_empty());
                Ok(body.run().await)
            }

            #[async_cached(
                ttl = 600, stale_while_revalidate = 600, backend = $store, skip(body), name = "lease_wait.refreshed"
            )]
            pub(super) async fn refreshed(body: Arc<Body>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                body.run().await
            }
        }
    };
}

mod in_a_map {
    use super::*;
    static MAP: LazyLock<Arc<MapStore>> = LazyLock::new(Arc::default);
    three_processes!(MAP.clone());
    overtaken!(MAP.clone());
}
mod on_redis {
    use super::*;
    three_processes!(crate::support::redis());
    overtaken!(crate::support::redis());
}
mod on_memcached {
    use super::*;
    three_processes!(crate::support::memcached());
    overtaken!(crate::support::memcached());
}

mod without_lease {
    use super::*;

    static MAP: LazyLock<Arc<MapStore>> = LazyLock::new(Arc::default);

    mod all_processes {
        use super::*;

        #[async_cached(ttl = 600, backend = MAP.clone(), skip(body), name = "lease_wait.without_lease")]
        pub(super) async fn load(body: Arc<Body>) -> usize {
            body.run().await
        }
    }

    mod process {
        use super::*;

        #[async_cached(ttl = 600, backend = MAP.clone(), skip(body), name = "lease_wait.without_lease", single_flight = "process")]
        pub(super) async fn load(body: Arc<Body>) -> usize {
            body.run().await
        }
    }

    #[tokio::test]
    async fn single_flight_in_one_process_does_not_share_an_invalidated_computation() {
        let (old, new) = (Body::held(), Body::open());
        let leases = tokio::spawn(all_processes::load(Arc::clone(&old)));
        old.has_begun(1).await;
        let computes = tokio::spawn(process::load(Arc::clone(&old)));
        old.has_begun(2).await;
        // The later call returns a value above 2.
        new.run().await;
        new.run().await;
        all_processes::load::invalidate().await.unwrap();
        let later = tokio::spawn(process::load(Arc::clone(&new)));
        settle().await;
        old.let_all_through();
        assert_eq!(timeout(SOON, later).await.unwrap().unwrap(), 3);
        assert_eq!(timeout(SOON, computes).await.unwrap().unwrap(), 2);
        assert_eq!(timeout(SOON, leases).await.unwrap().unwrap(), 1);
    }
}

/// An error that is not `Clone`: only one caller gets it.
#[derive(Debug)]
struct Single;

#[tokio::test]
async fn a_failure_in_this_process_counts_as_a_failed_wait() {
    static STORE: LazyLock<Arc<Recorder>> = LazyLock::new(|| {
        Arc::new(Recorder { reacquires: true, ..Recorder::new(Arc::new(MapStore::default())) })
    });

    #[async_cached(ttl = 600, backend = STORE.clone(), skip(body))]
    async fn load(body: Arc<Body>) -> Result<usize, Single> {
        match body.run().await {
            1 => Err(Single),
            number => Ok(number),
        }
    }

    let body = Body::held();
    let first = tokio::spawn(load(Arc::clone(&body)));
    body.has_begun(1).await;
    let second = tokio::spawn(load(Arc::clone(&body)));
    settle().await;
    body.let_all_through();
    assert!(timeout(SOON, first).await.unwrap().unwrap().is_err());
    // Another process has acquired the lease by then.
    let waiting = timeout(Duration::from_secs(20), second);
    assert_eq!(
        waiting.await.expect("the second call should not wait for the other process").unwrap().unwrap(),
        2
    );
}

#[tokio::test]
async fn a_lease_whose_generations_cannot_be_read_is_not_requested_for_ever() {
    static MAP: LazyLock<Arc<MapStore>> = LazyLock::new(Arc::default);
    static STORE: LazyLock<Arc<Recorder>> = LazyLock::new(|| Arc::new(Recorder::new(MAP.clone())));

    #[async_cached(ttl = 600, backend = MAP.clone(), skip(body), name = "lease_wait.unread")]
    async fn fail(body: Arc<Body>) -> Result<usize, Single> {
        body.run().await;
        Err(Single)
    }

    #[async_cached(ttl = 600, backend = STORE.clone(), skip(body), name = "lease_wait.unread")]
    async fn load(body: Arc<Body>) -> Result<usize, Single> {
        Ok(body.run().await)
    }

    let body = Body::held();
    let fails = tokio::spawn(fail(Arc::clone(&body)));
    body.has_begun(1).await;
    let waiting = tokio::spawn(load(Body::open()));
    until("a lease is requested", || STORE.count() > 0).await;
    STORE.refuses_generations.store(true, Ordering::Release);
    body.let_all_through();
    assert!(timeout(SOON, fails).await.unwrap().unwrap().is_err());
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap().unwrap(), 1);
    assert!(STORE.count() <= 4, "{} requests", STORE.count());
}

/// Starts a server whose user `untracked` may do everything except receive invalidation messages.
fn server_with_untracked_user() -> RedisServer {
    let server = RedisServer::start();
    let rules = ["ACL", "SETUSER", "untracked", "on", ">pass", "~*", "&*", "+@all", "-client|tracking"];
    assert_eq!(server.command(&rules), "OK");
    server
}

fn redis(url: &str) -> Redis {
    Redis::new(RedisConfig::new(url).deadline(SOON).connect_timeout(SOON)).unwrap()
}

fn untracked(server: &RedisServer) -> Redis {
    redis(&format!("redis://untracked:pass@{}", server.addr()))
}

/// Defines a store and two functions on it: one computes while the other waits.
macro_rules! a_pair_on {
    ($pair:ident) => {
        mod $pair {
            use super::*;

            pub(super) static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            pub(super) mod computes {
                use super::*;

                #[async_cached(ttl = 600, backend = STORE.get().unwrap().clone(), skip(body), name = "lease_wait.pair")]
                pub(in super::super) async fn load(body: Arc<Body>, key: &'static str) -> usize {
                    assert!(!key.is_empty());
                    body.run().await
                }
            }

            pub(super) mod waits {
                use super::*;

                #[async_cached(ttl = 600, backend = STORE.get().unwrap().clone(), skip(body), name = "lease_wait.pair")]
                pub(in super::super) async fn load(body: Arc<Body>, key: &'static str) -> usize {
                    assert!(!key.is_empty());
                    body.run().await
                }
            }
        }
    };
}
a_pair_on!(notified);
a_pair_on!(polling);
a_pair_on!(cut);
a_pair_on!(failing);
a_pair_on!(overloaded);

#[tokio::test]
async fn notified_waiters_poll_rarely() {
    let server = server_with_untracked_user();
    notified::STORE.set(Arc::new(redis(&server.url()))).unwrap();
    polling::STORE.set(Arc::new(untracked(&server))).unwrap();

    /// Returns how many scripts the server runs while one function computes for two seconds and the other waits.
    macro_rules! scripts {
        ($pair:ident, $key:literal) => {{
            let (body, unused) = (Body::held(), Body::open());
            let computing = tokio::spawn($pair::computes::load(Arc::clone(&body), $key));
            body.has_begun(1).await;
            let before = server.calls("evalsha");
            let waiting = tokio::spawn($pair::waits::load(Arc::clone(&unused), $key));
            tokio::time::sleep(Duration::from_secs(2)).await;
            body.let_all_through();
            assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap(), 1);
            assert_eq!(timeout(SOON, computing).await.unwrap().unwrap(), 1);
            assert_eq!(unused.begun(), 0);
            server.calls("evalsha") - before
        }};
    }
    let (notified, polling) = (scripts!(notified, "notified"), scripts!(polling, "polling"));
    println!("scripts in two seconds: {notified} of a notified waiter, {polling} of a polling one");
    assert!(notified * 4 < polling, "{notified} and {polling}");
}

#[tokio::test]
async fn a_cut_connection_does_not_end_the_wait() {
    let server = RedisServer::start();
    cut::STORE.set(Arc::new(redis(&server.url()))).unwrap();
    let (body, unused) = (Body::held(), Body::open());
    let computing = tokio::spawn(cut::computes::load(Arc::clone(&body), "cut"));
    body.has_begun(1).await;
    let waiting = tokio::spawn(cut::waits::load(Arc::clone(&unused), "cut"));
    until("it waits", || server.calls("client|caching") >= 1).await;
    assert_ne!(server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]), "0");
    until("it waits on a new connection", || server.calls("client|caching") >= 2).await;
    body.let_all_through();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap(), 1);
    timeout(SOON, computing).await.unwrap().unwrap();
    assert_eq!(unused.begun(), 0);
}

#[tokio::test]
async fn two_consecutive_store_errors_end_the_wait() {
    let store = Arc::new(Recorder::new(Arc::new(MapStore::default())));
    failing::STORE.set(store.clone()).unwrap();
    let (body, own) = (Body::held(), Body::open());
    let computing = tokio::spawn(failing::computes::load(Arc::clone(&body), "failing"));
    body.has_begun(1).await;
    let waiting = tokio::spawn(failing::waits::load(Arc::clone(&own), "failing"));
    settle().await;
    let key = key("pair", "failing");
    for _ in 0..3 {
        store.with(&key, |requests| requests.failures = 1);
        until("it fails", || store.with(&key, |requests| requests.failures == 0)).await;
        // The next request succeeds.
        store.with(&key, |requests| requests.has_acquired = false);
        store.has_acquired(&key).await;
    }
    assert_eq!(own.begun(), 0);
    store.with(&key, |requests| requests.failures = 2);
    own.has_begun(1).await;
    body.let_all_through();
    timeout(SOON, waiting).await.unwrap().unwrap();
    timeout(SOON, computing).await.unwrap().unwrap();
}

/// Under load the store is not asked for a while, although another process computes.
#[tokio::test]
async fn requests_that_are_not_sent_do_not_end_the_wait() {
    let store = Arc::new(Recorder::new(Arc::new(MapStore::default())));
    overloaded::STORE.set(store.clone()).unwrap();
    let (body, unused) = (Body::held(), Body::open());
    let computing = tokio::spawn(overloaded::computes::load(Arc::clone(&body), "overloaded"));
    body.has_begun(1).await;
    let waiting = tokio::spawn(overloaded::waits::load(Arc::clone(&unused), "overloaded"));
    let key = key("pair", "overloaded");
    store.with(&key, |requests| requests.has_acquired = false);
    store.has_acquired(&key).await;
    store.with(&key, |requests| (requests.failures, requests.failure) = (10, Some(ErrorKind::Overloaded)));
    until("they fail", || store.with(&key, |requests| requests.failures == 0)).await;
    body.let_all_through();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap(), 1);
    timeout(SOON, computing).await.unwrap().unwrap();
    assert_eq!(unused.begun(), 0);
}

#[cfg(feature = "moved-clock")]
mod many {
    use super::*;

    static STORE: LazyLock<Arc<Recorder>> = LazyLock::new(|| {
        Arc::new(Recorder { notifies: false, ..Recorder::new(Arc::new(MapStore::default())) })
    });

    #[async_cached(ttl = 600, backend = STORE.clone(), skip(body), name = "lease_wait.many")]
    async fn computes(body: Arc<Body>, key: usize) -> usize {
        body.run().await;
        key
    }

    #[async_cached(ttl = 600, backend = STORE.clone(), skip(body), name = "lease_wait.many")]
    async fn waits(body: Arc<Body>, key: usize) -> usize {
        body.run().await;
        key
    }

    const COUNT: usize = 2_000;

    /// Each alone would ask 300 times in two seconds.
    #[tokio::test(start_paused = true)]
    async fn calls_that_wait_ask_at_a_bounded_rate() {
        in_own_process!(); // Other calls of this process that wait would ask less often.
        let (body, unused) = (Body::held(), Body::open());
        let mut calls: JoinSet<_> = (0..COUNT).map(|key| computes(Arc::clone(&body), key)).collect();
        body.has_begun(COUNT).await;
        let before = STORE.count();
        for key in 0..COUNT {
            calls.spawn(waits(Arc::clone(&unused), key));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let requests = STORE.count() - before;
        assert!(requests < 50 * COUNT, "{requests} requests of {COUNT} calls");
        body.let_all_through();
        assert_eq!(calls.join_all().await.len(), 2 * COUNT);
        assert_eq!(unused.begun(), 0);
    }
}

/// Watches a key, changes it, and returns `true` if the watch completes.
async fn is_notified(store: &Redis, other: &Redis, key: &Key) -> bool {
    let Some(watch) = store.watch(key).await.unwrap() else { return false };
    other.remove(key).await.unwrap(); // Removing a missing key need not complete the watch.
    other.put(key, "value".into(), None).await.unwrap();
    timeout(SOON, watch).await.is_ok()
}

#[tokio::test]
async fn watches_work_after_a_restart() {
    let mut server = RedisServer::start();
    let (store, other) = (redis(&server.url()), redis(&server.url()));
    let key = Key::new("tests", &"restarted").unwrap();
    assert!(is_notified(&store, &other, &key).await);

    let watch = store.watch(&key).await.unwrap().unwrap();
    server.restart();
    timeout(SOON, watch).await.expect("the watch should complete because notifications may be lost");
    crate::servers::eventually("the stores are connected", async || {
        store.get(std::slice::from_ref(&key)).await.is_ok()
            && other.get(std::slice::from_ref(&key)).await.is_ok()
    })
    .await;
    assert!(is_notified(&store, &other, &key).await);
}

#[tokio::test]
async fn a_server_that_rejects_tracking_is_asked_once() {
    let server = server_with_untracked_user();
    let store = untracked(&server);
    let key = Key::new("tests", &"rejected").unwrap();
    for _ in 0..10 {
        assert!(store.watch(&key).await.unwrap().is_none());
    }
    let log = server.command(&["ACL", "LOG"]);
    assert!(log.starts_with("count\n1\n") && log.contains("client|tracking"), "{log}");
    // The connection stays usable.
    store.put(&key, "value".into(), None).await.unwrap();
}

#[tokio::test]
async fn watching_an_unreachable_server_is_an_error() {
    let mut server = RedisServer::start();
    let store = Redis::new(RedisConfig::new(server.url()).deadline(Duration::from_millis(200))).unwrap();
    let key = Key::new("tests", &"gone").unwrap();
    store.put(&key, "value".into(), None).await.unwrap();
    server.kill();
    let error = store.watch(&key).await.unwrap_err();
    assert!([ErrorKind::Unreachable, ErrorKind::Timeout].contains(&error.kind()), "{error:?}");
}
