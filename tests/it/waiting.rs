//! How a process waits for another one that computes: it is told, it is bounded, and one failure is enough (G2, G4).

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Error, ErrorKind, Key, Lease, LeaseMode, Redis, RedisConfig, Result, Store, Watch,
    async_cached,
};
use cached_tests::map_store::MapStore;
use cached_tests::server::RedisServer;
use tokio::time::timeout;

use crate::support::{Body, SOON, settle, until};

const MINUTE: Duration = Duration::from_secs(60);

/// A store that remembers of which keys a lease was asked for.
#[derive(Debug)]
struct Asked {
    store: Arc<dyn Store>,
    keys: Mutex<HashSet<Key>>,
    /// Whether another process takes every lease that is released, before anybody else can.
    grabs: bool,
    /// How many of the next questions for a lease fail.
    failures: AtomicUsize,
}

impl Asked {
    fn new(store: Arc<dyn Store>) -> Self {
        Self { store, keys: Mutex::default(), grabs: false, failures: AtomicUsize::new(0) }
    }

    /// Returns when it has answered who holds the lease of this argument's key, or given it.
    async fn for_lease_of(&self, argument: &str) {
        let key = Key::new("waiting.shared.v1", &(argument,)).unwrap();
        until("a lease is asked for", || self.keys.lock().unwrap().contains(&key)).await;
    }
}

impl Store for Asked {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.store.get(keys)
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        term: Duration,
        over: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        Box::pin(async move {
            let less = |failures: usize| failures.checked_sub(1);
            if self.failures.fetch_update(SeqCst, SeqCst, less).is_ok() {
                return Err(Error::new(ErrorKind::Unreachable, "the connection was cut"));
            }
            let acquired = self.store.acquire(key, term, over).await;
            self.keys.lock().unwrap().insert(key.clone());
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

    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.store.release(key, lease).await?;
            if self.grabs {
                self.store.acquire(key, MINUTE, LeaseMode::IfAbsent).await?.lease.unwrap();
            }
            Ok(())
        })
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

/// An error that every waiting caller can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure;

/// Three functions with one name are to the store what one function in three processes is.
macro_rules! three_processes {
    ($store:expr) => {
        three_processes!(process first, $store);
        three_processes!(process second, $store);
        three_processes!(process third, $store);

        #[tokio::test]
        async fn who_sees_another_take_over_computes_for_itself_and_stores_nothing() {
            let (fails, works) = (Body::held(), Body::held());
            let failing = tokio::spawn(first::load(Arc::clone(&fails), false, "taken over"));
            fails.has_begun(1).await;
            let waiting = [
                tokio::spawn(second::load(Arc::clone(&works), true, "taken over")),
                tokio::spawn(third::load(Arc::clone(&works), true, "taken over")),
            ];
            second::STORE.for_lease_of("taken over").await;
            third::STORE.for_lease_of("taken over").await;
            assert_eq!(works.begun(), 0, "one computes, and the others wait");

            fails.let_all_through();
            assert_eq!(timeout(SOON, failing).await.unwrap().unwrap(), Err(Failure));
            works.has_begun(2).await;
            assert_eq!(works.running(), 2, "nobody waits for a second attempt of another");

            works.let_all_through();
            let mut answers = Vec::new();
            for answer in waiting {
                answers.push(timeout(SOON, answer).await.unwrap().unwrap().unwrap());
            }
            answers.sort_unstable();
            assert_eq!(answers, [1, 2]);
            let peeked = [second::load::peek("taken over").await, third::load::peek("taken over").await];
            assert_eq!(peeked[0], peeked[1], "one of them had the lease");
            assert!(peeked[0].is_some());
        }

        #[tokio::test]
        async fn what_was_computed_without_a_lease_is_not_for_those_who_came_later() {
            let (fails, old, new) = (Body::held(), Body::held(), Body::open());
            let failing = tokio::spawn(first::load(Arc::clone(&fails), false, "late"));
            fails.has_begun(1).await;
            let waiting = [
                tokio::spawn(second::load(Arc::clone(&old), true, "late")),
                tokio::spawn(third::load(Arc::clone(&old), true, "late")),
            ];
            second::STORE.for_lease_of("late").await;
            third::STORE.for_lease_of("late").await;
            fails.let_all_through();
            timeout(SOON, failing).await.unwrap().unwrap().unwrap_err();
            old.has_begun(2).await; // One of them without a lease.

            // What the new ones return is more than 2.
            new.run().await;
            new.run().await;
            first::load::invalidate("late").await.unwrap();
            let later = [
                tokio::spawn(second::load(Arc::clone(&new), true, "late")),
                tokio::spawn(third::load(Arc::clone(&new), true, "late")),
            ];
            settle().await;
            old.let_all_through();
            for answer in waiting {
                timeout(SOON, answer).await.unwrap().unwrap().unwrap();
            }
            for answer in later {
                let answer = timeout(SOON, answer).await.unwrap().unwrap().unwrap();
                assert!(answer > 2, "computed from before an invalidation that had been confirmed");
            }
        }
    };
    (process $process:ident, $store:expr) => {
        mod $process {
            use super::*;

            pub(super) static STORE: LazyLock<Arc<Asked>> = LazyLock::new(|| Arc::new(Asked::new($store)));

            #[async_cached(ttl = 600, backend = STORE.clone(), skip(body, works), name = "waiting.shared")]
            pub(super) async fn load(body: Arc<Body>, works: bool, key: &'static str) -> Result<usize, Failure> {
                assert!(!key.is_empty());
                let number = body.run().await;
                if works { Ok(number) } else { Err(Failure) }
            }
        }
    };
}

mod in_a_map {
    use super::*;
    static MAP: LazyLock<Arc<MapStore>> = LazyLock::new(Arc::default);
    three_processes!(MAP.clone());
}
mod on_redis {
    use super::*;
    three_processes!(crate::support::redis());
}
mod on_memcached {
    use super::*;
    three_processes!(crate::support::memcached());
}

mod beside {
    use super::*;

    static MAP: LazyLock<Arc<MapStore>> = LazyLock::new(Arc::default);

    mod fleet {
        use super::*;

        #[async_cached(ttl = 600, backend = MAP.clone(), skip(body), name = "waiting.beside")]
        pub(super) async fn load(body: Arc<Body>) -> usize {
            body.run().await
        }
    }

    mod process {
        use super::*;

        #[async_cached(ttl = 600, backend = MAP.clone(), skip(body), name = "waiting.beside", single_flight = "process")]
        pub(super) async fn load(body: Arc<Body>) -> usize {
            body.run().await
        }
    }

    #[tokio::test]
    async fn a_process_that_never_waits_for_another_shares_nothing_that_was_invalidated() {
        let (old, new) = (Body::held(), Body::open());
        let leases = tokio::spawn(fleet::load(Arc::clone(&old)));
        old.has_begun(1).await;
        let computes = tokio::spawn(process::load(Arc::clone(&old)));
        old.has_begun(2).await;
        // What the new one returns is more than 2.
        new.run().await;
        new.run().await;
        fleet::load::invalidate().await.unwrap();
        let later = tokio::spawn(process::load(Arc::clone(&new)));
        settle().await;
        old.let_all_through();
        assert_eq!(timeout(SOON, later).await.unwrap().unwrap(), 3);
        assert_eq!(timeout(SOON, computes).await.unwrap().unwrap(), 2);
        assert_eq!(timeout(SOON, leases).await.unwrap().unwrap(), 1);
    }
}

/// An error that only one caller can be given.
#[derive(Debug)]
struct Single;

#[tokio::test]
async fn a_failure_in_this_process_is_one_failure_too() {
    static STORE: LazyLock<Arc<Asked>> =
        LazyLock::new(|| Arc::new(Asked { grabs: true, ..Asked::new(Arc::new(MapStore::default())) }));

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
    // By then another process has the lease.
    let waiting = timeout(Duration::from_secs(20), second);
    assert_eq!(waiting.await.expect("it should not wait for that one too").unwrap().unwrap(), 2);
}

/// A server whose default user may do everything, and `deaf` everything but be told when keys change.
fn server_with_a_deaf_user() -> RedisServer {
    let server = RedisServer::start();
    let rules = ["ACL", "SETUSER", "deaf", "on", ">pass", "~*", "&*", "+@all", "-client|tracking"];
    assert_eq!(server.command(&rules), "OK");
    server
}

fn redis(url: &str) -> Redis {
    Redis::new(RedisConfig::new(url).deadline(SOON).connect_timeout(SOON)).unwrap()
}

fn deaf(server: &RedisServer) -> Redis {
    redis(&format!("redis://deaf:pass@{}", server.addr()))
}

/// Two functions that share the store `$store`, and the time that one computes while the other waits.
macro_rules! a_pair_on {
    ($pair:ident) => {
        mod $pair {
            use super::*;

            pub(super) static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            pub(super) mod computes {
                use super::*;

                #[async_cached(ttl = 600, backend = STORE.get().unwrap().clone(), skip(body), name = "waiting.pair")]
                pub(in super::super) async fn load(body: Arc<Body>, key: &'static str) -> usize {
                    assert!(!key.is_empty());
                    body.run().await
                }
            }

            pub(super) mod waits {
                use super::*;

                #[async_cached(ttl = 600, backend = STORE.get().unwrap().clone(), skip(body), name = "waiting.pair")]
                pub(in super::super) async fn load(body: Arc<Body>, key: &'static str) -> usize {
                    assert!(!key.is_empty());
                    body.run().await
                }
            }
        }
    };
}
a_pair_on!(told);
a_pair_on!(untold);
a_pair_on!(cut);
a_pair_on!(failing);

#[tokio::test]
async fn who_is_told_asks_a_few_times_and_who_is_not_asks_often() {
    let server = server_with_a_deaf_user();
    told::STORE.set(Arc::new(redis(&server.url()))).unwrap();
    untold::STORE.set(Arc::new(deaf(&server))).unwrap();

    /// How many scripts the server runs while one computes for two seconds and another waits.
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
    let (told, untold) = (scripts!(told, "told"), scripts!(untold, "untold"));
    println!("scripts in two seconds: {told} of one who is told, {untold} of one who is not");
    assert!(told * 4 < untold, "{told} and {untold}");
}

#[tokio::test]
async fn who_waits_when_the_connection_is_cut_is_answered_all_the_same() {
    let server = RedisServer::start();
    cut::STORE.set(Arc::new(redis(&server.url()))).unwrap();
    let (body, unused) = (Body::held(), Body::open());
    let computing = tokio::spawn(cut::computes::load(Arc::clone(&body), "cut"));
    body.has_begun(1).await;
    let waiting = tokio::spawn(cut::waits::load(Arc::clone(&unused), "cut"));
    until("it waits", || server.calls("client|caching") >= 1).await;
    assert_ne!(server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]), "0");
    until("it waits on another connection", || server.calls("client|caching") >= 2).await;
    body.let_all_through();
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap(), 1);
    timeout(SOON, computing).await.unwrap().unwrap();
    assert_eq!(unused.begun(), 0);
}

#[tokio::test]
async fn one_failure_of_the_store_does_not_end_the_waiting_but_two_do() {
    let store = Arc::new(Asked::new(Arc::new(MapStore::default())));
    failing::STORE.set(store.clone()).unwrap();
    let (body, own) = (Body::held(), Body::open());
    let computing = tokio::spawn(failing::computes::load(Arc::clone(&body), "failing"));
    body.has_begun(1).await;
    let waiting = tokio::spawn(failing::waits::load(Arc::clone(&own), "failing"));
    settle().await;
    for _ in 0..3 {
        store.failures.store(1, SeqCst);
        until("it fails", || store.failures.load(SeqCst) == 0).await;
        // The next question is answered.
        store.keys.lock().unwrap().clear();
        until("it is asked again", || !store.keys.lock().unwrap().is_empty()).await;
    }
    assert_eq!(own.begun(), 0);
    store.failures.store(2, SeqCst);
    own.has_begun(1).await;
    body.let_all_through();
    timeout(SOON, waiting).await.unwrap().unwrap();
    timeout(SOON, computing).await.unwrap().unwrap();
}

/// Watches a key until something else happens to the store, and returns whether it is told of a change.
async fn is_told(store: &Redis, other: &Redis, key: &Key) -> bool {
    let Some(watch) = store.watch(key).await.unwrap() else { return false };
    other.remove(key).await.unwrap(); // Of what is not there nobody needs to be told.
    other.put(key, "value".into(), None).await.unwrap();
    timeout(SOON, watch).await.is_ok()
}

#[tokio::test]
async fn a_server_that_was_restarted_tells_again() {
    let mut server = RedisServer::start();
    let (store, other) = (redis(&server.url()), redis(&server.url()));
    let key = Key::new("tests", &"restarted").unwrap();
    assert!(is_told(&store, &other, &key).await);

    let watch = store.watch(&key).await.unwrap().unwrap();
    server.restart();
    timeout(SOON, watch).await.expect("whoever waits is told that news may have been lost");
    crate::both::eventually("the stores are back", async || {
        store.get(std::slice::from_ref(&key)).await.is_ok()
            && other.get(std::slice::from_ref(&key)).await.is_ok()
    })
    .await;
    assert!(is_told(&store, &other, &key).await);
}

#[tokio::test]
async fn a_server_that_refuses_to_tell_is_asked_once() {
    let server = server_with_a_deaf_user();
    let store = deaf(&server);
    let key = Key::new("tests", &"refused").unwrap();
    for _ in 0..10 {
        assert!(store.watch(&key).await.unwrap().is_none());
    }
    let log = server.command(&["ACL", "LOG"]);
    assert!(log.starts_with("count\n1\n") && log.contains("client|tracking"), "{log}");
    // It is no failure of the connection either.
    store.put(&key, "value".into(), None).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_of_watching_too() {
    let mut server = RedisServer::start();
    let store = Redis::new(RedisConfig::new(server.url()).deadline(Duration::from_millis(200))).unwrap();
    let key = Key::new("tests", &"gone").unwrap();
    store.put(&key, "value".into(), None).await.unwrap();
    server.kill();
    let error = store.watch(&key).await.unwrap_err();
    assert!([ErrorKind::Unreachable, ErrorKind::Timeout].contains(&error.kind()), "{error:?}");
}
