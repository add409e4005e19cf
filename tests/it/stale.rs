//! Stale values: served during a background refresh or after an error, refreshed ahead of time, and expired.
//!
//! A body returns the number of its run, so that two equal results are one cached value.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cached_runtime::{Error, ErrorKind, async_cached, invalidate_tag};
use cached_tests::in_own_process;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;
use tracing_core::span::Current;

use crate::servers::eventually;
use crate::support::{Body, SOON, on_each_backend, settle, until};

#[cfg(feature = "moved-clock")]
const SECOND: Duration = Duration::from_secs(1);

/// Calls from several tasks. Returns each distinct answer with the number of callers that got it.
async fn answers<T, F>(number: usize, call: impl Fn() -> F) -> Vec<(T, usize)>
where
    T: Ord + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    count(callers(number, call)).await
}

fn callers<T, F>(number: usize, call: impl Fn() -> F) -> JoinSet<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..number {
        tasks.spawn(call());
    }
    tasks
}

async fn count<T: Ord + 'static>(tasks: JoinSet<T>) -> Vec<(T, usize)> {
    let mut counts = BTreeMap::new();
    for answer in timeout(SOON, tasks.join_all()).await.expect("every caller should be answered") {
        *counts.entry(answer).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

/// An error that is not `Clone`: only one caller gets it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unique {
    Failed(usize),
    TimedOut(String),
}

impl From<Error> for Unique {
    fn from(error: Error) -> Self {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        Self::TimedOut(error.to_string())
    }
}

/// An error that is `Clone`: all callers get it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
enum Shared {
    Failed(usize),
    TimedOut,
}

impl From<Error> for Shared {
    fn from(error: Error) -> Self {
        assert_eq!(error.kind(), ErrorKind::Timeout);
        Self::TimedOut
    }
}

/// Returns the tag of a key, unique to the module: all functions of the process share the tags.
macro_rules! own_tag {
    ($key:expr) => {
        format!("{} {}", module_path!(), $key)
    };
}

macro_rules! while_revalidating {
    ($($backend:tt)+) => {
        mod while_revalidating {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m", tags(own_tag!(key)))]
            async fn load(body: Arc<Body>, key: &'static str) -> Result<usize, String> {
                let number = body.run().await;
                assert!(number != 2 || !key.contains("panics"), "the second computation of {key}");
                if number == 2 && key.contains("fails") { Err("the second one".into()) } else { Ok(number) }
            }

            /// Stores a stale value, and returns a body whose next run is held.
            async fn stale(key: &'static str) -> Arc<Body> {
                let body = Body::held();
                body.let_one_through();
                assert_eq!(load(Arc::clone(&body), key).await, Ok(1));
                load::expire(key).await.unwrap();
                body
            }

            #[tokio::test]
            async fn callers_get_the_stale_value_during_a_background_refresh() {
                let body = stale("at once").await;
                let call = || load(Arc::clone(&body), "at once");
                assert_eq!(answers(1_000, call).await, [(Ok(1), 1_000)]);
                body.has_begun(2).await;
                assert_eq!(answers(1_000, call).await, [(Ok(1), 1_000)]);
                settle().await;
                assert_eq!(body.begun(), 2);
                body.let_all_through();
                eventually("the next value", async || load::peek("at once").await == Some(Ok(2))).await;
                assert_eq!(call().await, Ok(2));
                settle().await;
                assert_eq!(body.begun(), 2);
            }

            #[tokio::test]
            async fn each_call_and_each_background_refresh_is_counted_once() {
                #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m")]
                async fn counted(body: Arc<Body>) -> usize {
                    body.run().await
                }

                let body = Body::held();
                counted::put(7).await.unwrap();
                counted::expire().await.unwrap();
                for _ in 0..10 {
                    assert_eq!(counted(Arc::clone(&body)).await, 7);
                }
                body.let_all_through();
                eventually("the next value", async || counted::peek().await == Some(1)).await;
                eventually("the refresh is counted", async || counted::stats().background_refreshes == 1).await;
                assert_eq!(counted(Arc::clone(&body)).await, 1);
                let stats = counted::stats();
                assert_eq!((stats.stale_hits, stats.computed, stats.joined), (10, 0, 0));
                assert_eq!(stats.hits + stats.shared_hits, 1);
            }

            #[tokio::test]
            async fn a_failed_background_refresh_keeps_the_stale_value() {
                let body = stale("fails").await;
                body.let_one_through();
                assert_eq!(load(Arc::clone(&body), "fails").await, Ok(1));
                body.has_begun(2).await;
                until("it fails", || body.running() == 0).await;
                // The next refresh begins when the lease has been released.
                eventually("another refresh", async || {
                    assert_eq!(load(Arc::clone(&body), "fails").await, Ok(1));
                    body.begun() == 3
                })
                .await;
                body.let_all_through();
                eventually("the next value", async || load::peek("fails").await == Some(Ok(3))).await;
            }

            #[tokio::test]
            async fn a_panicking_background_refresh_is_counted_and_retried() {
                let before = load::stats().panics;
                let body = stale("panics").await;
                body.let_one_through();
                assert_eq!(load(Arc::clone(&body), "panics").await, Ok(1));
                body.has_begun(2).await;
                until("it panics", || load::stats().panics == before + 1).await;
                eventually("another refresh", async || {
                    assert_eq!(load(Arc::clone(&body), "panics").await, Ok(1));
                    body.begun() == 3
                })
                .await;
                body.let_all_through();
                eventually("the next value", async || load::peek("panics").await == Some(Ok(3))).await;
            }

            /// Calls `change` during a background refresh, and checks that the refresh stores nothing.
            async fn is_never_stored(key: &'static str, change: impl AsyncFn() -> cached_runtime::Result<()>) {
                let body = stale(key).await;
                assert_eq!(load(Arc::clone(&body), key).await, Ok(1));
                body.has_begun(2).await;
                change().await.unwrap();
                let then = load::peek(key).await;
                assert_ne!(then, Some(Ok(2)));
                body.let_one_through();
                until("the refresh ends", || body.running() == 0).await;
                settle().await;
                assert_eq!(load::peek(key).await, then, "after {key}");
                body.let_all_through();
                match then {
                    None => assert_eq!(load(Arc::clone(&body), key).await, Ok(3)),
                    Some(there) => assert_eq!(load(Arc::clone(&body), key).await, there),
                }
                eventually("no older value", async || load::peek(key).await != Some(Ok(2))).await;
            }

            #[tokio::test]
            async fn a_background_refresh_is_discarded_after_a_change() {
                is_never_stored("invalidate", async || load::invalidate("invalidate").await).await;
                is_never_stored("put", async || load::put("put", 9).await).await;
                is_never_stored("expire", async || load::expire("expire").await).await;
                is_never_stored("tag", async || invalidate_tag(own_tag!("tag")).await).await;
            }

            #[tokio::test]
            async fn a_background_refresh_is_discarded_after_clear() {
                #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m")]
                async fn cleared(body: Arc<Body>) -> usize {
                    body.run().await
                }

                let body = Body::held();
                cleared::put(7).await.unwrap();
                cleared::expire().await.unwrap();
                assert_eq!(cleared(Arc::clone(&body)).await, 7);
                body.has_begun(1).await;
                cleared::clear().await.unwrap();
                body.let_all_through();
                until("the refresh ends", || body.running() == 0).await;
                settle().await;
                assert_eq!(cleared::peek().await, None);
                assert_eq!(cleared(Arc::clone(&body)).await, 2);
            }

            #[tokio::test]
            async fn a_background_refresh_runs_in_the_span_of_its_call() {
                static SEEN: Mutex<Vec<Option<&str>>> = Mutex::new(Vec::new());

                #[async_cached(ttl = 600, backend = $($backend)+, stale_while_revalidate = "10m")]
                async fn spanned() -> usize {
                    let mut seen = SEEN.lock().unwrap();
                    seen.push(tracing::Span::current().metadata().map(|metadata| metadata.name()));
                    seen.len()
                }

                let _spans = tracing::subscriber::set_default(Spans);
                spanned::put(7).await.unwrap();
                spanned::expire().await.unwrap();
                assert_eq!(spanned().instrument(tracing::error_span!("request")).await, 7);
                until("the refresh runs", || SEEN.lock().unwrap().len() == 1).await;
                assert_eq!(*SEEN.lock().unwrap(), [Some("request")]);
            }

            /// `None` is not cached, but it is newer than the stale value.
            #[tokio::test]
            async fn a_background_refresh_without_a_cacheable_value_removes_the_old_one() {
                #[async_cached(ttl = 600, backend = $($backend)+, stale_while_revalidate = "10m")]
                async fn perhaps() -> Option<usize> {
                    None
                }

                perhaps::put(7).await.unwrap();
                perhaps::expire().await.unwrap();
                assert_eq!(perhaps().await, Some(7));
                eventually("the old value is removed", async || perhaps::peek().await.is_none()).await;
                assert_eq!(perhaps().await, None);
            }
        }
    };
}

on_each_backend!(while_revalidating);

/// A subscriber that tracks the current span of each thread only.
struct Spans;

static NAMES: Mutex<Vec<&'static tracing::Metadata<'static>>> = Mutex::new(Vec::new());

thread_local! {
    static ENTERED: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl tracing::Subscriber for Spans {
    /// The spans of the test; those of the crate are in `spans`.
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        !metadata.target().starts_with("cached_runtime")
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut names = NAMES.lock().unwrap();
        names.push(span.metadata());
        tracing::span::Id::from_u64(names.len() as u64)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, span: &tracing::span::Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
    }

    fn exit(&self, _: &tracing::span::Id) {
        ENTERED.with_borrow_mut(|entered| entered.truncate(entered.len() - 1));
    }
    fn current_span(&self) -> Current {
        let Some(id) = ENTERED.with_borrow(|entered| entered.last().copied()) else { return Current::none() };
        let metadata = NAMES.lock().unwrap()[usize::try_from(id).unwrap() - 1];
        Current::new(tracing::span::Id::from_u64(id), metadata)
    }
}

/// To a store, two functions with one name are like one function in two processes.
macro_rules! two_processes {
    ($($backend:tt)+) => {
        mod here {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m", name = "stale.shared")]
            pub(super) async fn load(body: Arc<Body>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                body.run().await
            }
        }
        mod there {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m", name = "stale.shared")]
            pub(super) async fn load(body: Arc<Body>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                body.run().await
            }
        }

        #[tokio::test]
        async fn one_process_refreshes_for_the_other() {
            let body = Body::held();
            here::load::put("one", 7).await.unwrap();
            there::load::expire("one").await.unwrap();
            assert_eq!(here::load(Arc::clone(&body), "one").await, 7);
            body.has_begun(1).await;
            for _ in 0..20 {
                assert_eq!(there::load(Arc::clone(&body), "one").await, 7);
                settle().await;
            }
            assert_eq!(body.begun(), 1);
            body.let_all_through();
            eventually("the next value", async || there::load::peek("one").await == Some(1)).await;
            assert_eq!(there::load(Arc::clone(&body), "one").await, 1);
            assert_eq!(body.begun(), 1);
        }

        #[test]
        fn another_process_refreshes_after_the_first_one_ended() {
            let body = Body::held();
            let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            other.block_on(async {
                there::load::put("dies", 7).await.unwrap();
                there::load::expire("dies").await.unwrap();
                dying.spawn(here::load(Arc::clone(&body), "dies"));
                body.has_begun(1).await;
                dying.shutdown_background();
                until("the computation is dropped with its runtime", || body.running() == 0).await;
                body.let_all_through();
                // The lease may have to expire first.
                eventually("another process refreshes", async || there::load(Arc::clone(&body), "dies").await == 2).await;
            });
        }

        #[tokio::test]
        async fn a_change_in_one_process_is_final_for_a_background_refresh_in_the_other() {
            let body = Body::held();
            // `expire` during a computation removes the value, which may have changed since the computation began.
            for (key, expires) in [("invalidated", false), ("expired", true)] {
                here::load::put(key, 7).await.unwrap();
                here::load::expire(key).await.unwrap();
                let begun = body.begun();
                assert_eq!(here::load(Arc::clone(&body), key).await, 7);
                body.has_begun(begun + 1).await;
                if expires {
                    there::load::expire(key).await.unwrap();
                } else {
                    there::load::invalidate(key).await.unwrap();
                }
                body.let_one_through();
                until("the refresh ends", || body.running() == 0).await;
                for _ in 0..10 {
                    settle().await;
                    assert_eq!(there::load::peek(key).await, None);
                }
            }
        }
    };
}

mod two_processes_on_redis {
    use super::*;
    two_processes!(crate::support::redis());
}
mod two_processes_on_memcached {
    use super::*;
    two_processes!(crate::support::memcached());
}

mod bounds {
    use super::*;

    #[async_cached(ttl = 600, stale_while_revalidate = "10m")]
    async fn many(key: usize) -> usize {
        assert!(key < 300);
        MANY.run().await
    }

    static MANY: std::sync::LazyLock<Arc<Body>> = std::sync::LazyLock::new(Body::held);

    /// In a process of its own, because it uses the whole limit of background refreshes.
    #[tokio::test]
    async fn at_most_256_background_refreshes_run_and_every_call_is_answered() {
        in_own_process!();
        let mut stale = JoinSet::new();
        for key in 0..300 {
            many::put(key, 0).await.unwrap();
            many::expire(key).await.unwrap();
            stale.spawn(many(key));
        }
        assert_eq!(count(stale).await, [(0, 300)]);
        settle().await;
        assert_eq!((MANY.begun(), MANY.running()), (256, 256));
        MANY.let_all_through();
        until("the refreshes end", || MANY.running() == 0).await;
        settle().await;
        for key in 0..300 {
            many(key).await;
        }
        settle().await;
        assert_eq!(MANY.begun(), 300, "further refreshes can run");
    }

    #[test]
    fn a_background_refresh_ends_with_its_runtime_and_another_runtime_refreshes() {
        #[async_cached(ttl = 600, stale_while_revalidate = "10m", skip(body))]
        async fn ends(body: Arc<Body>) -> usize {
            body.run().await
        }

        let body = Body::held();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let first = runtime();
        first.block_on(async {
            ends::put(7).await.unwrap();
            ends::expire().await.unwrap();
            assert_eq!(ends(Arc::clone(&body)).await, 7);
            body.has_begun(1).await;
        });
        drop(first);
        assert_eq!(body.running(), 0);
        body.let_all_through();
        runtime().block_on(async {
            assert_eq!(ends(Arc::clone(&body)).await, 7);
            body.has_begun(2).await;
            settle().await;
            assert_eq!(ends(Arc::clone(&body)).await, 2);
        });
    }
}

/// `stale_if_error` and `timeout`.
macro_rules! if_error {
    ($($backend:tt)+) => {
        mod if_error {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_if_error = "10m", tags(own_tag!(key)))]
            async fn common(body: Arc<Body>, key: &'static str) -> Result<usize, Shared> {
                assert!(!key.is_empty());
                Err(Shared::Failed(body.run().await))
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_if_error = "10m")]
            async fn single(body: Arc<Body>) -> Result<usize, Unique> {
                Err(Unique::Failed(body.run().await))
            }

            #[tokio::test]
            async fn an_error_is_replaced_by_the_stale_value_for_all_callers() {
                let body = Body::held();
                common::put("waits", 7).await.unwrap();
                common::expire("waits").await.unwrap();
                let calls = callers(100, || common(Arc::clone(&body), "waits"));
                body.has_begun(1).await;
                settle().await;
                body.let_all_through();
                assert_eq!(count(calls).await, [(Ok(7), 100)]);
                assert!(common::stats().errors >= 1);
                assert_eq!(common(Arc::clone(&body), "waits").await, Ok(7), "and again");
            }

            #[tokio::test]
            async fn an_error_that_is_not_clone_is_replaced_too() {
                let body = Body::held();
                single::put(7).await.unwrap();
                single::expire().await.unwrap();
                let calls = callers(100, || single(Arc::clone(&body)));
                body.has_begun(1).await;
                for _ in 0..10 {
                    settle().await;
                    let _ = single::peek().await;
                }
                body.let_all_through();
                assert_eq!(count(calls).await, [(Ok(7), 100)]);
                assert!(body.begun() <= 3, "{} computations for 100 callers", body.begun());
            }

            #[tokio::test]
            async fn an_invalidated_value_does_not_replace_an_error() {
                let body = Body::open();
                let changes: [(&'static str, fn() -> cached_runtime::BoxFuture<'static, cached_runtime::Result<()>>); 2] = [
                    ("invalidated", || Box::pin(common::invalidate("invalidated"))),
                    ("tag invalidated", || Box::pin(invalidate_tag(own_tag!("tag invalidated")))),
                ];
                for (key, change) in changes {
                    common::put(key, 7).await.unwrap();
                    common::expire(key).await.unwrap();
                    assert_eq!(common(Arc::clone(&body), key).await, Ok(7));
                    change().await.unwrap();
                    assert!(common(Arc::clone(&body), key).await.is_err(), "{key}");
                }
            }

            #[tokio::test]
            async fn a_cleared_value_does_not_replace_an_error() {
                #[async_cached(ttl = 600, backend = $($backend)+, stale_if_error = "10m")]
                async fn cleared() -> Result<usize, String> {
                    Err("failed".into())
                }

                cleared::put(7).await.unwrap();
                cleared::expire().await.unwrap();
                assert_eq!(cleared().await, Ok(7));
                cleared::clear().await.unwrap();
                assert!(cleared().await.is_err());
            }

            /// Callers after the invalidation do not get the value that a call before it had read.
            #[tokio::test]
            async fn a_value_invalidated_during_a_failing_computation_is_not_returned_later() {
                for key in ["invalidated meanwhile", "tag invalidated meanwhile"] {
                    let body = Body::held();
                    common::put(key, 7).await.unwrap();
                    common::expire(key).await.unwrap();
                    let before = tokio::spawn(common(Arc::clone(&body), key));
                    body.has_begun(1).await;
                    if key.starts_with("tag") {
                        invalidate_tag(own_tag!(key)).await.unwrap();
                    } else {
                        common::invalidate(key).await.unwrap();
                    }
                    let after = callers(10, || common(Arc::clone(&body), key));
                    for _ in 0..10 {
                        settle().await;
                        let _ = common::peek(key).await;
                    }
                    body.let_all_through();
                    before.await.unwrap().ok();
                    for (answer, _) in count(after).await {
                        assert!(answer.is_err(), "{answer:?} after {key}");
                    }
                }
            }

            #[tokio::test]
            async fn none_is_not_an_error() {
                #[async_cached(ttl = 600, backend = $($backend)+, stale_if_error = "10m", skip(fails))]
                async fn perhaps(fails: bool) -> Result<Option<usize>, String> {
                    if fails { Err("failed".into()) } else { Ok(None) }
                }

                perhaps::put(Some(7)).await.unwrap();
                perhaps::expire().await.unwrap();
                assert_eq!(perhaps(true).await, Ok(Some(7)));
                perhaps::expire().await.unwrap(); // So that the next call computes.
                assert_eq!(perhaps(false).await, Ok(None));
                assert!(perhaps(true).await.is_err(), "no value is left");
            }

            #[tokio::test]
            async fn a_cached_error_is_never_served_stale() {
                #[async_cached(
                    ttl = 600, backend = $($backend)+, skip(body),
                    cache_err = "10m", stale_if_error = "10m", stale_while_revalidate = "10m"
                )]
                async fn cached(body: Arc<Body>) -> Result<usize, Shared> {
                    Err(Shared::Failed(body.run().await))
                }

                let body = Body::open();
                assert_eq!(cached(Arc::clone(&body)).await, Err(Shared::Failed(1)));
                assert_eq!(cached(Arc::clone(&body)).await, Err(Shared::Failed(1)), "a hit");
                cached::expire().await.unwrap();
                assert_eq!(cached::peek().await, None);
                assert_eq!(cached(Arc::clone(&body)).await, Err(Shared::Failed(2)));
            }
        }

        mod timeouts {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), timeout = "50ms", cache_err = "10m")]
            async fn inline(body: Arc<Body>, key: &'static str) -> Result<usize, Shared> {
                assert!(!key.is_empty());
                Ok(body.run().await)
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), timeout = "50ms", detached)]
            async fn detached(body: Arc<Body>) -> Result<usize, Unique> {
                Ok(body.run().await)
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), timeout = "50ms")]
            async fn as_io(body: Arc<Body>) -> io::Result<usize> {
                Ok(body.run().await)
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), timeout = "50ms", stale_if_error = "10m")]
            async fn kept(body: Arc<Body>) -> Result<usize, Shared> {
                Ok(body.run().await)
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), timeout = "50ms", stale_while_revalidate = "10m")]
            async fn refreshed(body: Arc<Body>) -> Result<usize, Shared> {
                Ok(body.run().await)
            }

            #[tokio::test]
            async fn a_timed_out_body_is_dropped_and_its_caller_gets_an_error() {
                let body = Body::held();
                assert_eq!(inline(Arc::clone(&body), "late").await, Err(Shared::TimedOut));
                assert_eq!((body.begun(), body.running()), (1, 0));
                let error = as_io(Arc::clone(&body)).await.unwrap_err();
                let source = error.get_ref().and_then(|source| source.downcast_ref::<Error>()).unwrap();
                assert_eq!(source.kind(), ErrorKind::Timeout);
                assert!(matches!(detached(Arc::clone(&body)).await, Err(Unique::TimedOut(_))));
                until("the body is dropped", || body.running() == 0).await;
            }

            #[tokio::test]
            async fn a_timeout_is_not_cached() {
                let body = Body::held();
                assert_eq!(inline(Arc::clone(&body), "again").await, Err(Shared::TimedOut));
                body.let_all_through();
                assert_eq!(inline(Arc::clone(&body), "again").await, Ok(2));
                assert!(inline::stats().errors >= 1);
            }

            #[tokio::test]
            async fn every_waiting_caller_gets_the_timeout() {
                let body = Body::held();
                let calls = callers(100, || inline(Arc::clone(&body), "all wait"));
                assert_eq!(count(calls).await, [(Err(Shared::TimedOut), 100)]);
                let others = Body::held();
                for answer in callers(100, || as_io(Arc::clone(&others))).join_all().await {
                    assert!(answer.is_err());
                }
                assert!(others.begun() <= 3, "{} computations for 100 callers", others.begun());
                let tasks = Body::held();
                for answer in callers(100, || detached(Arc::clone(&tasks))).join_all().await {
                    assert!(answer.is_err());
                }
                assert!(tasks.begun() <= 3, "{} computations for 100 callers", tasks.begun());
            }

            #[tokio::test]
            async fn a_stale_value_replaces_a_timeout() {
                let body = Body::held();
                kept::put(7).await.unwrap();
                kept::expire().await.unwrap();
                assert_eq!(answers(100, || kept(Arc::clone(&body))).await, [(Ok(7), 100)]);
                assert_eq!(body.running(), 0);
            }

            #[tokio::test]
            async fn a_timed_out_background_refresh_is_dropped() {
                let body = Body::held();
                refreshed::put(7).await.unwrap();
                refreshed::expire().await.unwrap();
                assert_eq!(refreshed(Arc::clone(&body)).await, Ok(7));
                body.has_begun(1).await;
                until("the body is dropped", || body.running() == 0).await;
                assert_eq!(refreshed(Arc::clone(&body)).await, Ok(7));
                body.let_all_through();
                eventually("another refresh", async || {
                    let _ = refreshed(Arc::clone(&body)).await;
                    refreshed::peek().await != Some(Ok(7))
                })
                .await;
            }
        }
    };
}

mod errors {
    use super::*;
    on_each_backend!(if_error);
}

#[cfg(feature = "moved-clock")]
mod in_memory {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stale_value_is_served_until_its_window_ends() {
        #[async_cached(ttl = 10, stale_while_revalidate = "5s", skip(body))]
        async fn windowed(body: Arc<Body>, key: u8) -> usize {
            assert!(key < 2);
            body.run().await
        }

        let body = Body::open();
        for (key, past) in [(0, 4_999), (1, 5_000)] {
            let first = windowed(Arc::clone(&body), key).await;
            advance(10 * SECOND + Duration::from_millis(past)).await;
            let then = windowed(Arc::clone(&body), key).await;
            assert_eq!(then == first, past < 5_000, "{past} ms after it was fresh");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_returned_after_the_window() {
        #[async_cached(ttl = 10, stale_if_error = "5s", skip(fails))]
        async fn windowed(fails: bool) -> Result<usize, Shared> {
            if fails { Err(Shared::Failed(0)) } else { Ok(7) }
        }

        assert_eq!(windowed(false).await, Ok(7));
        advance(10 * SECOND).await;
        assert_eq!(windowed(true).await, Ok(7));
        advance(Duration::from_millis(4_999)).await;
        assert_eq!(windowed(true).await, Ok(7));
        advance(Duration::from_millis(1)).await;
        assert_eq!(windowed(true).await, Err(Shared::Failed(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn during_failures_one_call_per_second_computes_and_no_other_waits() {
        #[async_cached(ttl = 10, stale_if_error = "1h", skip(body))]
        async fn down(body: Arc<Body>) -> Result<usize, Shared> {
            match body.run().await {
                number @ (1 | 5) => Ok(number),
                number => Err(Shared::Failed(number)),
            }
        }

        let body = Body::open();
        let call = || down(Arc::clone(&body));
        assert_eq!(call().await, Ok(1));
        advance(10 * SECOND).await;
        for tries in 2..4 {
            assert_eq!(answers(100, call).await, [(Ok(1), 100)]);
            assert_eq!(body.begun(), tries);
            advance(Duration::from_millis(999)).await;
            assert_eq!((call().await, body.begun()), (Ok(1), tries));
            advance(Duration::from_millis(1)).await;
        }
        // A computation that is still running.
        let held = Body::held();
        let first = tokio::spawn(down(Arc::clone(&held)));
        held.has_begun(1).await;
        assert_eq!(answers(100, || down(Arc::clone(&held))).await, [(Ok(1), 100)]);
        assert_eq!(held.begun(), 1);
        first.abort();
        // An expired value is computed at once, whatever failed before.
        down::expire().await.unwrap();
        assert_eq!((call().await, body.begun()), (Ok(1), 4));
        advance(SECOND).await;
        assert_eq!(call().await, Ok(5), "the function succeeds again");
        advance(10 * SECOND).await;
        assert_eq!((call().await, body.begun()), (Ok(5), 6), "the pause after the failures is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_background_refresh_is_retried_after_a_pause() {
        #[async_cached(ttl = 10, stale_while_revalidate = "1h", skip(body))]
        async fn refreshed(body: Arc<Body>) -> Result<usize, Shared> {
            match body.run().await {
                1 => Ok(1),
                2 => panic!("the second computation"),
                number => Err(Shared::Failed(number)),
            }
        }

        let body = Body::open();
        assert_eq!(refreshed(Arc::clone(&body)).await, Ok(1));
        advance(10 * SECOND).await;
        for tries in 2..5 {
            for _ in 0..10 {
                assert_eq!(refreshed(Arc::clone(&body)).await, Ok(1));
                settle().await;
                assert_eq!(body.begun(), tries);
            }
            advance(SECOND).await;
        }
        assert_eq!(refreshed::stats().panics, 1);
    }

    /// The callers that wait for the refresh have a stale value to return.
    #[tokio::test(start_paused = true)]
    async fn a_failed_background_refresh_is_no_error_for_waiting_callers() {
        #[async_cached(ttl = 10, stale_while_revalidate = "5s", stale_if_error = "1h", skip(body))]
        async fn refreshed(body: Arc<Body>) -> Result<usize, Shared> {
            match body.run().await {
                1 => Ok(1),
                number => Err(Shared::Failed(number)),
            }
        }

        let body = Body::held();
        body.let_one_through();
        assert_eq!(refreshed(Arc::clone(&body)).await, Ok(1));
        advance(12 * SECOND).await;
        assert_eq!(refreshed(Arc::clone(&body)).await, Ok(1));
        body.has_begun(2).await;
        advance(4 * SECOND).await;
        let calls = callers(10, || refreshed(Arc::clone(&body)));
        settle().await;
        assert_eq!(body.begun(), 2, "the callers wait for the refresh");
        body.let_all_through();
        assert_eq!(count(calls).await, [(Ok(1), 10)]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_timeout_a_body_runs_to_completion() {
        #[async_cached(ttl = 10, skip(body))]
        async fn unlimited(body: Arc<Body>) -> Result<usize, Shared> {
            Ok(body.run().await)
        }

        let body = Body::held();
        let call = tokio::spawn(unlimited(Arc::clone(&body)));
        body.has_begun(1).await;
        sleep(3_600 * SECOND).await;
        assert_eq!(body.running(), 1);
        body.let_all_through();
        assert_eq!(call.await.unwrap(), Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_is_exact() {
        #[async_cached(ttl = 600, timeout = "2s", skip(takes))]
        async fn limited(takes: Duration, key: u8) -> Result<u8, Shared> {
            sleep(takes).await;
            Ok(key)
        }

        assert_eq!(limited(Duration::from_millis(1_990), 1).await, Ok(1));
        assert_eq!(limited(Duration::from_millis(2_010), 2).await, Err(Shared::TimedOut));
    }
}

mod refresh_ahead {
    use super::*;

    #[cfg(feature = "moved-clock")]
    mod in_memory {
        use tokio::time::advance;

        use super::*;

        const KEYS: u64 = 200;

        #[async_cached(ttl = 100, refresh_ahead = 0.2)]
        async fn hot(key: u64) -> u64 {
            sleep(10 * SECOND).await;
            key
        }

        /// Calls each key once; each call has to be a hit.
        async fn all_hit() {
            for key in 0..KEYS {
                let mut call = std::pin::pin!(hot(key));
                assert_eq!(crate::support::poll_once(&mut call).await, Some(key));
            }
            settle().await;
        }

        /// In a process of its own, because it uses most of the limit of background refreshes.
        #[tokio::test(start_paused = true)]
        async fn a_hot_value_is_refreshed_before_it_expires() {
            in_own_process!();
            let mut first = JoinSet::new();
            (0..KEYS).for_each(|key| drop(first.spawn(hot(key))));
            assert_eq!(first.join_all().await.len() as u64, KEYS);
            let computed = hot::stats().computed;
            advance(Duration::from_millis(79_900)).await;
            for _ in 0..20 {
                all_hit().await;
            }
            advance(10 * SECOND).await; // Any refresh that has begun ends in this time.
            settle().await;
            assert_eq!(hot::stats().background_refreshes, 0, "the last part of the lifetime has not begun");
            // A tenth of the lifetime is left: each call refreshes with a probability of 1/e.
            all_hit().await;
            sleep(9 * SECOND).await;
            for _ in 0..5 {
                all_hit().await; // In the last second a refresh is nearly certain.
            }
            sleep(15 * SECOND).await;
            let stats = hot::stats();
            assert_eq!(stats.computed, computed, "no caller had to wait");
            assert!(
                (KEYS * 9 / 10..=KEYS).contains(&stats.background_refreshes),
                "{}",
                stats.background_refreshes
            );
            assert_eq!(stats.stale_hits, 0);
        }

        #[tokio::test(start_paused = true)]
        async fn a_value_that_is_computed_at_once_is_not_refreshed_ahead() {
            #[async_cached(ttl = 100, refresh_ahead = 1.0)]
            async fn quick() -> u8 {
                1
            }

            quick().await;
            for _ in 0..99 {
                advance(SECOND).await;
                quick().await;
            }
            settle().await;
            assert_eq!((quick::stats().background_refreshes, quick::stats().hits), (0, 99));
        }
    }

    macro_rules! shared {
        ($($backend:tt)+) => {
            /// The last part is the whole lifetime here.
            #[tokio::test]
            async fn a_value_is_refreshed_before_it_expires() {
                #[async_cached(ttl = "10s", backend = $($backend)+, refresh_ahead = 1.0)]
                async fn short(key: u64) -> u64 {
                    sleep(Duration::from_millis(300)).await;
                    key
                }

                let mut first = JoinSet::new();
                (0..100).for_each(|key| drop(first.spawn(short(key))));
                first.join_all().await;
                eventually("one value is refreshed", async || {
                    for key in 0..100 {
                        assert_eq!(short(key).await, key);
                    }
                    short::stats().background_refreshes > 0
                })
                .await;
                assert_eq!(short::stats().stale_hits, 0);
            }
        };
    }

    mod on_redis {
        use super::*;
        shared!(crate::support::redis());
    }
    mod on_memcached {
        use super::*;
        shared!(crate::support::memcached());
    }
}

mod jitter {
    use super::*;

    #[cfg(feature = "moved-clock")]
    mod in_memory {
        use tokio::time::advance;

        use super::*;

        const KEYS: u64 = 1_000;

        #[async_cached(ttl = 100, jitter = 0.5)]
        async fn spread(key: u64) -> u64 {
            key
        }

        #[async_cached(ttl = 100)]
        async fn even(key: u64) -> u64 {
            key
        }

        /// Returns after how many seconds each of the keys had expired.
        async fn lifetimes() -> Vec<u64> {
            let mut ends = vec![0; usize::try_from(KEYS).unwrap()];
            for key in 0..KEYS {
                spread(key).await;
                even(key).await;
            }
            for second in 1..=101 {
                advance(SECOND).await;
                for key in 0..KEYS {
                    let end = &mut ends[usize::try_from(key).unwrap()];
                    if *end == 0 && spread::peek(key).await.is_none() {
                        *end = second;
                    }
                    assert_eq!(even::peek(key).await.is_some(), second < 100, "{key} without jitter");
                }
            }
            ends
        }

        #[tokio::test(start_paused = true)]
        async fn lifetimes_are_spread_by_key() {
            let ends = lifetimes().await;
            assert!(ends.iter().all(|end| (50..=100).contains(end)), "{ends:?}");
            assert!(ends.iter().filter(|end| **end < 60).count() > 100);
            assert!(ends.iter().filter(|end| **end > 90).count() > 100);
            assert_eq!(lifetimes().await, ends);
        }
    }

    #[tokio::test]
    async fn lifetimes_in_redis_are_spread_by_a_tenth_by_default() {
        #[async_cached(ttl = 1_000, backend = crate::support::redis())]
        async fn shared(key: u64) -> u64 {
            key
        }

        let left = async |key: u64| -> i64 {
            let name = shared::lookup(key).await.key;
            crate::support::REDIS.command(&["PTTL", &name]).parse().unwrap()
        };
        let mut lefts = Vec::new();
        for key in 0..100 {
            let first = left(key).await;
            shared::invalidate(key).await.unwrap();
            let second = left(key).await;
            // The test takes less than a minute; two random lifetimes would differ by a third of the spread on average.
            assert!((first - second).abs() < 60_000, "{first} and then {second}");
            assert!((840_000..=1_000_000).contains(&second), "{second}");
            lefts.push(second);
        }
        let (least, most) = (lefts.iter().min().unwrap(), lefts.iter().max().unwrap());
        assert!(most - least > 50_000, "{least} to {most}");
    }
}

macro_rules! expiring {
    ($($backend:tt)+) => {
        mod expiring {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body))]
            async fn plain(body: Arc<Body>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                body.run().await
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m")]
            async fn kept(body: Arc<Body>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                body.run().await
            }

            #[tokio::test]
            async fn expire_removes_values_that_cannot_be_served_stale() {
                let body = Body::open();
                assert_eq!(plain(Arc::clone(&body), "removed").await, 1);
                plain::expire("removed").await.unwrap();
                assert_eq!(plain::peek("removed").await, None);
                assert_eq!(plain(Arc::clone(&body), "removed").await, 2);
                plain::expire("never there").await.unwrap();
                kept::expire("never there").await.unwrap();
                assert_eq!(kept::peek("never there").await, None);
            }

            /// A value computed from older data is neither stored nor returned to later callers.
            #[tokio::test]
            async fn expire_discards_computations_in_flight() {
                let (old, new) = (Body::held(), Body::open());
                assert_eq!(new.run().await, 1);
                for waiting in [0, 10] {
                    plain::invalidate("in flight").await.unwrap();
                    kept::invalidate("in flight").await.unwrap();
                    let begun = old.begun();
                    let first = callers(1 + waiting, || plain(Arc::clone(&old), "in flight"));
                    let second = callers(1 + waiting, || kept(Arc::clone(&old), "in flight"));
                    old.has_begun(begun + 2).await;
                    settle().await;
                    plain::expire("in flight").await.unwrap();
                    kept::expire("in flight").await.unwrap();
                    let then = new.begun();
                    let after = timeout(SOON, plain(Arc::clone(&new), "in flight")).await.unwrap();
                    assert_eq!((after, new.begun()), (then + 1, then + 1));
                    let after_kept = timeout(SOON, kept(Arc::clone(&new), "in flight")).await.unwrap();
                    assert_eq!((after_kept, new.begun()), (then + 2, then + 2));
                    old.let_one_through();
                    old.let_one_through();
                    count(first).await;
                    count(second).await;
                    assert_eq!(plain::peek("in flight").await, Some(after));
                    assert_eq!(kept::peek("in flight").await, Some(after_kept));
                }
            }
        }
    };
}

mod expired {
    use super::*;
    on_each_backend!(expiring);
}
