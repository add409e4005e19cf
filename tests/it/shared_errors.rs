//! What waiting callers get when the function fails: an error of their own, made of one computation where the type of the
//! error allows it, and at most four computations at a time where it does not (G4).

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cached_runtime::{ErrorKind, Source, async_cached};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use crate::support::{Body, SOON, on_each_backend, settle, until};

const CALLERS: usize = 1_000;

/// The origin of all of them: it always fails.
#[derive(Debug)]
struct NoSuchUser(usize);

impl std::fmt::Display for NoSuchUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no user in attempt {}", self.0)
    }
}

impl StdError for NoSuchUser {}

/// An error of an application, with the one variant that lets it be shared.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("the query failed")]
    Query(#[source] NoSuchUser),
    #[error(transparent)]
    Cache(#[from] cached_runtime::Error),
}

/// An error that cannot be shared, unless a function does it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Single(usize);

/// An error for stores that can be made of another one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stored {
    Failed(usize),
    Shared(String),
}

impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(attempt) => write!(f, "failed in attempt {attempt}"),
            Self::Shared(text) => f.write_str(text),
        }
    }
}

impl From<cached_runtime::Error> for Stored {
    fn from(error: cached_runtime::Error) -> Self {
        Self::Shared(error.to_string())
    }
}

/// The computations that run, and the most that ever ran at a time.
#[derive(Debug, Default)]
struct Load {
    begun: AtomicUsize,
    running: AtomicUsize,
    peak: AtomicUsize,
}

impl Load {
    /// A computation that takes a few turns of the scheduler; returns its number.
    async fn attempt(&self) -> usize {
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.peak.fetch_max(running, SeqCst);
        for _ in 0..20 {
            yield_now().await;
        }
        self.running.fetch_sub(1, SeqCst);
        number
    }
}

/// Makes so many calls in tasks, and lets the body end when all of them wait.
async fn errors<T, E, F>(body: &Body, call: impl Fn() -> F) -> Vec<E>
where
    T: std::fmt::Debug + Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let (arrived, call) = (Arc::clone(&arrived), call());
        tasks.spawn(async move {
            arrived.fetch_add(1, SeqCst);
            call.await
        });
    }
    until("everybody calls", || arrived.load(SeqCst) == CALLERS).await;
    body.has_begun(1).await;
    settle().await;
    body.let_all_through();
    let all = timeout(SOON, tasks.join_all()).await.expect("everybody should be answered");
    all.into_iter().filter_map(Result::err).collect()
}

macro_rules! tests {
    ($($backend:tt)+) => {
        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn with_anyhow(body: Arc<Body>) -> anyhow::Result<u64> {
            Err(NoSuchUser(body.run().await).into())
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn boxed(body: Arc<Body>) -> Result<u64, Box<dyn StdError + Send + Sync>> {
            Err(NoSuchUser(body.run().await).into())
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn with_io(body: Arc<Body>) -> io::Result<u64> {
            Err(io::Error::new(io::ErrorKind::NotFound, NoSuchUser(body.run().await)))
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn with_thiserror(body: Arc<Body>) -> Result<u64, AppError> {
            Err(AppError::Query(NoSuchUser(body.run().await)))
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(load))]
        async fn unshared(load: Arc<Load>, failures: usize) -> Result<usize, Single> {
            let number = load.attempt().await;
            if number > failures { Ok(number) } else { Err(Single(number)) }
        }

        #[async_cached(
            ttl = 60,
            backend = $($backend)+,
            skip(body),
            share_err = |error: &Single| Single(error.0)
        )]
        async fn by_function(body: Arc<Body>) -> Result<u64, Single> {
            Err(Single(body.run().await))
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(load), share_err = "off")]
        async fn switched_off(load: Arc<Load>) -> Result<usize, String> {
            Err(load.attempt().await.to_string())
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body), cache_err = "60s")]
        async fn cached(body: Arc<Body>, key: &'static str) -> Result<u64, Stored> {
            assert!(!key.is_empty());
            Err(Stored::Failed(body.run().await))
        }

        #[async_cached(
            ttl = 60,
            backend = $($backend)+,
            skip(body),
            cache_err = "60s",
            share_err = |error| Single(error.0)
        )]
        async fn cached_by_function(body: Arc<Body>) -> Result<u64, Single> {
            Err(Single(body.run().await))
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body), timeout = "1ms")]
        async fn slow(body: Arc<Body>) -> anyhow::Result<usize> {
            Ok(body.run().await)
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn panics_first(body: Arc<Body>) -> anyhow::Result<u64> {
            let attempt = body.run().await;
            assert!(attempt > 1, "the first attempt");
            Err(NoSuchUser(attempt).into())
        }

        #[tokio::test]
        async fn an_anyhow_error_is_shared() {
            let body = Body::held();
            let errors = errors(&body, || with_anyhow(Arc::clone(&body))).await;
            assert_eq!((body.begun(), errors.len()), (1, CALLERS));
            assert!(errors.iter().all(|error| error.to_string() == "no user in attempt 1"));
            let originals = errors.iter().filter(|error| error.is::<NoSuchUser>()).count();
            assert_eq!(originals, 1, "the one who ran the function keeps its error");
        }

        #[tokio::test]
        async fn a_boxed_error_is_shared() {
            let body = Body::held();
            let errors = errors(&body, || boxed(Arc::clone(&body))).await;
            assert_eq!((body.begun(), errors.len()), (1, CALLERS));
            assert!(errors.iter().all(|error| error.to_string() == "no user in attempt 1"));
        }

        #[tokio::test]
        async fn an_io_error_is_shared_with_its_kind() {
            let body = Body::held();
            let errors = errors(&body, || with_io(Arc::clone(&body))).await;
            assert_eq!((body.begun(), errors.len()), (1, CALLERS));
            assert!(errors.iter().all(|error| error.to_string() == "no user in attempt 1"));
            assert!(errors.iter().all(|error| error.kind() == io::ErrorKind::NotFound));
        }

        #[tokio::test]
        async fn an_enum_with_a_variant_for_it_is_shared() {
            let body = Body::held();
            let errors = errors(&body, || with_thiserror(Arc::clone(&body))).await;
            assert_eq!((body.begun(), errors.len()), (1, CALLERS));
            assert!(errors.iter().all(|error| error.to_string() == "the query failed"));
        }

        #[tokio::test]
        async fn of_attempts_that_fail_for_one_four_run_at_a_time() {
            let load = Arc::new(Load::default());
            let mut tasks = JoinSet::new();
            for _ in 0..CALLERS {
                tasks.spawn(unshared(Arc::clone(&load), usize::MAX));
            }
            let all = timeout(SOON, tasks.join_all()).await.expect("everybody should be answered");
            let mut numbers: Vec<_> = all.into_iter().map(|got| got.unwrap_err().0).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (1..=CALLERS).collect::<Vec<_>>(), "each its own");
            assert_eq!(load.peak.load(SeqCst), 4);
        }

        #[tokio::test]
        async fn a_success_among_attempts_is_for_everybody_and_stored() {
            const FAILURES: usize = 20;
            let load = Arc::new(Load::default());
            let mut tasks = JoinSet::new();
            for _ in 0..CALLERS {
                tasks.spawn(unshared(Arc::clone(&load), FAILURES));
            }
            let all = timeout(SOON, tasks.join_all()).await.expect("everybody should be answered");
            assert_eq!(all.iter().filter(|got| got.is_err()).count(), FAILURES);
            let computed = load.begun.load(SeqCst);
            assert!(computed <= FAILURES + 8, "those that ran at the time, and those beside the lease: {computed}");
            assert!(unshared(Arc::clone(&load), FAILURES).await.is_ok());
            assert_eq!(load.begun.load(SeqCst), computed, "it is stored");
        }

        #[tokio::test]
        async fn a_function_shares_the_error() {
            let body = Body::held();
            let errors = errors(&body, || by_function(Arc::clone(&body))).await;
            assert_eq!((body.begun(), errors.len()), (1, CALLERS));
            assert!(errors.iter().all(|error| *error == Single(1)));
        }

        #[tokio::test]
        async fn sharing_can_be_switched_off() {
            let load = Arc::new(Load::default());
            let mut tasks = JoinSet::new();
            for _ in 0..CALLERS {
                tasks.spawn(switched_off(Arc::clone(&load)));
            }
            timeout(SOON, tasks.join_all()).await.expect("everybody should be answered");
            assert_eq!((load.begun.load(SeqCst), load.peak.load(SeqCst)), (CALLERS, 4));
        }

        #[tokio::test]
        async fn a_lookup_says_that_the_error_was_shared() {
            let body = Body::held();
            let mut tasks = JoinSet::new();
            for _ in 0..10 {
                tasks.spawn(with_io::lookup(Arc::clone(&body)));
            }
            body.has_begun(1).await;
            settle().await;
            body.let_all_through();
            let sources: Vec<_> = tasks.join_all().await.into_iter().map(|found| found.source).collect();
            let shared = sources.iter().filter(|source| **source == Source::SharedError).count();
            let computed = sources.iter().filter(|source| **source == Source::Computed).count();
            assert_eq!(computed, body.begun(), "{sources:?}");
            assert_eq!(shared, 10 - computed, "{sources:?}");
        }

        #[tokio::test]
        async fn a_cached_error_is_answered_without_the_function() {
            let body = Body::open();
            let first = cached(Arc::clone(&body), "stays").await.unwrap_err();
            assert_eq!(first, Stored::Failed(1), "the one who ran the function keeps its error");
            let then = cached(Arc::clone(&body), "stays").await.unwrap_err();
            assert_eq!(then.to_string(), "failed in attempt 1");
            assert_eq!(body.begun(), 1);
            let peeked = cached::peek("stays").await.unwrap().unwrap_err();
            assert_eq!(peeked.to_string(), "failed in attempt 1");
            cached::put("given", Err(Stored::Failed(7))).await.unwrap();
            let given = cached(Arc::clone(&body), "given").await.unwrap_err();
            assert_eq!((given.to_string().as_str(), body.begun()), ("failed in attempt 7", 1));

            let body = Body::open();
            for _ in 0..3 {
                assert_eq!(cached_by_function(Arc::clone(&body)).await, Err(Single(1)));
            }
            assert_eq!(body.begun(), 1);
        }

        #[tokio::test]
        async fn callers_that_wait_for_a_cached_error_get_it() {
            let body = Body::held();
            let errors = errors(&body, || cached(Arc::clone(&body), "waiting")).await;
            assert_eq!((body.begun(), errors.len()), (1, CALLERS));
            assert!(errors.iter().all(|error| error.to_string() == "failed in attempt 1"));
        }

        #[tokio::test]
        async fn a_timeout_is_for_everybody() {
            let body = Body::held();
            let mut tasks = JoinSet::new();
            for _ in 0..10 {
                tasks.spawn(slow(Arc::clone(&body)));
            }
            for got in timeout(SOON, tasks.join_all()).await.expect("everybody should be answered") {
                let error = got.unwrap_err();
                let error = error.downcast_ref::<cached_runtime::Error>().unwrap();
                assert_eq!(error.kind(), ErrorKind::Timeout);
            }
        }

        #[tokio::test]
        async fn a_panic_is_for_one_and_the_error_after_it_for_the_others() {
            let body = Body::held();
            let mut tasks = JoinSet::new();
            for _ in 0..100 {
                tasks.spawn(panics_first(Arc::clone(&body)));
            }
            body.has_begun(1).await;
            settle().await;
            body.let_one_through();
            body.has_begun(2).await;
            settle().await;
            body.let_all_through();
            let (mut panics, mut errors) = (0, 0);
            while let Some(ended) = timeout(SOON, tasks.join_next()).await.expect("everybody is answered") {
                match ended {
                    Ok(got) => {
                        assert_eq!(got.unwrap_err().to_string(), "no user in attempt 2");
                        errors += 1;
                    }
                    Err(error) => panics += usize::from(error.is_panic()),
                }
            }
            assert_eq!((panics, errors, body.begun()), (1, 99, 2));
        }
    };
}

on_each_backend!(tests);

/// Errors that are not `Send`, in a thread of their own; only memory and a store for one thread allow for them.
#[tokio::test]
async fn a_boxed_error_that_is_not_send_is_shared() {
    #[async_cached(ttl = 60, skip(body))]
    async fn local(body: Arc<Body>) -> Result<u64, Box<dyn StdError>> {
        Err(NoSuchUser(body.run().await).into())
    }

    let body = Body::held();
    let set = tokio::task::LocalSet::new();
    let calls: Vec<_> = (0..CALLERS).map(|_| set.spawn_local(local(Arc::clone(&body)))).collect();
    set.run_until(async {
        body.has_begun(1).await;
        settle().await;
        body.let_all_through();
        for call in calls {
            let error =
                timeout(SOON, call).await.expect("everybody should be answered").unwrap().unwrap_err();
            assert_eq!(error.to_string(), "no user in attempt 1");
        }
    })
    .await;
    assert_eq!(body.begun(), 1);
}

/// What only the alternate form of an error shows, its causes, is the source of the shared one.
#[tokio::test]
async fn the_causes_of_an_error_are_shared() {
    use anyhow::Context as _;

    #[async_cached(ttl = 60, skip(body))]
    async fn with_context(body: Arc<Body>) -> anyhow::Result<u64> {
        let attempt = body.run().await;
        Err(NoSuchUser(attempt)).context("the query failed").context("the page cannot be shown")
    }

    let body = Body::held();
    let errors = errors(&body, || with_context(Arc::clone(&body))).await;
    for error in errors {
        let shown = format!("{error:#}");
        assert_eq!(shown, "the page cannot be shown: the query failed: no user in attempt 1");
    }
}

/// Neither the callers that share an error nor those that try in turn ask the store one by one.
mod commands {
    use std::sync::LazyLock;

    use cached_runtime::Store;
    use cached_tests::server::{MemcachedServer, RedisServer};

    use super::*;
    use crate::support::{memcached_at, redis_at};

    macro_rules! tests {
        ($name:ident $server:ident $at:ident $address:ident $commands:expr) => {
            mod $name {
                use super::*;

                static SERVER: LazyLock<$server> = LazyLock::new($server::start);

                fn store() -> Arc<dyn Store> {
                    static STORE: LazyLock<Arc<dyn Store>> =
                        LazyLock::new(|| Arc::new($at(&SERVER.$address(), SOON)));
                    STORE.clone()
                }

                #[async_cached(ttl = 60, backend = store(), skip(body))]
                async fn shared(body: Arc<Body>) -> anyhow::Result<u64> {
                    Err(NoSuchUser(body.run().await).into())
                }

                #[async_cached(ttl = 60, backend = store(), skip(load))]
                async fn unshared(load: Arc<Load>) -> Result<u64, Single> {
                    Err(Single(load.attempt().await))
                }

                #[tokio::test]
                async fn they_are_few() {
                    let commands: fn(&$server) -> u64 = $commands;
                    let body = Body::held();
                    errors(&body, || shared(Arc::clone(&body))).await;
                    assert_eq!(body.begun(), 1);
                    let when_shared = commands(&SERVER);
                    assert!(when_shared <= 20, "{when_shared} commands for one computation");

                    let load = Arc::new(Load::default());
                    let mut tasks = JoinSet::new();
                    for _ in 0..CALLERS {
                        tasks.spawn(unshared(Arc::clone(&load)));
                    }
                    timeout(SOON, tasks.join_all()).await.expect("everybody should be answered");
                    assert_eq!((load.begun.load(SeqCst), load.peak.load(SeqCst)), (CALLERS, 4));
                    let in_turn = commands(&SERVER) - when_shared;
                    assert!(in_turn <= 100, "{in_turn} commands for {CALLERS} attempts");
                }
            }
        };
    }

    tests!(redis RedisServer redis_at url |server| {
        ["get", "mget", "set", "evalsha", "eval"].iter().map(|command| server.calls(command)).sum()
    });
    tests!(memcached MemcachedServer memcached_at addr |server| {
        ["cmd_get", "cmd_set", "cmd_meta", "cmd_touch", "delete_hits", "delete_misses"]
            .iter()
            .map(|name| server.stats().get(*name).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0))
            .sum()
    });
}

#[cfg(feature = "moved-clock")]
mod paused {
    use std::time::Duration;

    use cached_tests::map_store::MapStore;
    use tokio::time::advance;

    use super::*;

    macro_rules! tests {
        ($($backend:tt)+) => {
            #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
            async fn unshared(body: Arc<Body>) -> Result<u64, Single> {
                Err(Single(body.run().await))
            }

            #[tokio::test(start_paused = true)]
            async fn whoever_has_waited_longer_than_the_budget_runs_the_function() {
                const NUMBER: usize = 100;
                let body = Body::held();
                let mut tasks = JoinSet::new();
                for _ in 0..NUMBER {
                    tasks.spawn(unshared(Arc::clone(&body)));
                }
                body.has_begun(1).await;
                for attempts in 1..=2 {
                    settle().await;
                    assert_eq!((body.begun(), body.running()), (attempts, 1), "one at a time at first");
                    body.let_one_through();
                    body.has_begun(attempts + 1).await;
                }
                // The wait for a flight would end thirty seconds after its start, for each of them anew.
                for second in 0..29 {
                    settle().await;
                    assert_eq!((body.begun(), body.running()), if second <= 20 { (6, 4) } else { (10, 4) });
                    if second == 20 {
                        (0..4).for_each(|_| body.let_one_through());
                        body.has_begun(10).await;
                    }
                    advance(Duration::from_secs(1)).await;
                }
                for _ in 0..2 {
                    advance(Duration::from_secs(1)).await;
                    settle().await;
                }
                assert_eq!(body.begun(), NUMBER);
                body.let_all_through();
                let mut numbers: Vec<_> =
                    tasks.join_all().await.into_iter().map(|got| got.unwrap_err().0).collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (1..=NUMBER).collect::<Vec<_>>(), "each its own");
            }
        };
    }

    mod memory {
        use super::*;
        tests!("memory");
    }
    mod shared {
        use super::*;
        tests!(Arc::new(MapStore::default()));
    }
}
