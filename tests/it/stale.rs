//! What is past its lifetime: served while the next one is computed, or because there is no better one.
//!
//! A body here returns which of its runs this is: the same answer twice is one that was remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cached_runtime::{async_cached, invalidate_tag};
use tokio::task::JoinSet;
use tokio::time::{advance, timeout};
use tracing::Instrument as _;
use tracing_core::span::Current;

use crate::both::eventually;
use crate::support::{Body, SOON, on_each_backend, settle, until};

const SECOND: Duration = Duration::from_secs(1);

/// So many callers at once; each answer with the number of those who got it.
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
    for answer in timeout(SOON, tasks.join_all()).await.expect("everybody should be answered") {
        *counts.entry(answer).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

macro_rules! while_revalidating {
    ($($backend:tt)+) => {
        mod while_revalidating {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m", tags("{key}"))]
            async fn load(body: Arc<Body>, key: &'static str) -> Result<usize, String> {
                let number = body.run().await;
                assert!(number != 2 || !key.contains("panics"), "the second computation of {key}");
                if number == 2 && key.contains("fails") { Err("the second one".into()) } else { Ok(number) }
            }

            /// A value that is no longer fresh, and a body whose next run waits.
            async fn stale(key: &'static str) -> Arc<Body> {
                let body = Body::held();
                body.let_one_through();
                assert_eq!(load(Arc::clone(&body), key).await, Ok(1));
                load::expire(key).await.unwrap();
                body
            }

            #[tokio::test]
            async fn callers_get_the_old_value_at_once_while_one_computes_the_next() {
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
            async fn each_call_is_counted_once_and_the_renewal_besides() {
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
                eventually("it is counted", async || counted::stats().renewed == 1).await;
                assert_eq!(counted(Arc::clone(&body)).await, 1);
                let stats = counted::stats();
                assert_eq!((stats.stale, stats.computed, stats.joined), (10, 0, 0));
                assert_eq!(stats.hits + stats.shared_hits, 1);
            }

            #[tokio::test]
            async fn a_renewal_that_fails_leaves_the_old_value() {
                let body = stale("fails").await;
                body.let_one_through();
                assert_eq!(load(Arc::clone(&body), "fails").await, Ok(1));
                body.has_begun(2).await;
                until("it fails", || body.running() == 0).await;
                // Until the lease is given back nobody can begin another.
                eventually("another renewal", async || {
                    assert_eq!(load(Arc::clone(&body), "fails").await, Ok(1));
                    body.begun() == 3
                })
                .await;
                body.let_all_through();
                eventually("the next value", async || load::peek("fails").await == Some(Ok(3))).await;
            }

            #[tokio::test]
            async fn a_panic_in_a_renewal_is_counted_and_the_next_call_renews_again() {
                let before = load::stats().panicked;
                let body = stale("panics").await;
                body.let_one_through();
                assert_eq!(load(Arc::clone(&body), "panics").await, Ok(1));
                body.has_begun(2).await;
                until("it panics", || load::stats().panicked == before + 1).await;
                eventually("another renewal", async || {
                    assert_eq!(load(Arc::clone(&body), "panics").await, Ok(1));
                    body.begun() == 3
                })
                .await;
                body.let_all_through();
                eventually("the next value", async || load::peek("panics").await == Some(Ok(3))).await;
            }

            /// Does something while the next value is computed, which must not be stored then.
            async fn is_never_stored(key: &'static str, verb: impl AsyncFn() -> cached_runtime::Result<()>) {
                let body = stale(key).await;
                assert_eq!(load(Arc::clone(&body), key).await, Ok(1));
                body.has_begun(2).await;
                verb().await.unwrap();
                let then = load::peek(key).await;
                assert_ne!(then, Some(Ok(2)));
                body.let_one_through();
                until("the renewal ends", || body.running() == 0).await;
                settle().await;
                assert_eq!(load::peek(key).await, then, "after {key}");
                body.let_all_through();
                match then {
                    None => assert_eq!(load(Arc::clone(&body), key).await, Ok(3)),
                    Some(there) => assert_eq!(load(Arc::clone(&body), key).await, there),
                }
                eventually("a value that is no older", async || load::peek(key).await != Some(Ok(2))).await;
            }

            #[tokio::test]
            async fn what_is_voided_while_it_is_renewed_is_never_stored() {
                is_never_stored("invalidate", async || load::invalidate("invalidate").await).await;
                is_never_stored("put", async || load::put("put", 9).await).await;
                is_never_stored("expire", async || load::expire("expire").await).await;
                is_never_stored("tag", async || invalidate_tag("tag").await).await;
                is_never_stored("clear", async || load::clear().await).await;
            }

            #[tokio::test]
            async fn a_renewal_runs_in_the_span_of_the_call_that_asked_for_it() {
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
                until("the renewal runs", || SEEN.lock().unwrap().len() == 1).await;
                assert_eq!(*SEEN.lock().unwrap(), [Some("request")]);
            }
        }
    };
}

on_each_backend!(while_revalidating);

/// Knows which span the current thread is in, and nothing else.
struct Spans;

static NAMES: Mutex<Vec<&'static tracing::Metadata<'static>>> = Mutex::new(Vec::new());

thread_local! {
    static ENTERED: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
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
        ENTERED.with_borrow_mut(Vec::pop);
    }
    fn current_span(&self) -> Current {
        let Some(id) = ENTERED.with_borrow(|entered| entered.last().copied()) else { return Current::none() };
        let metadata = NAMES.lock().unwrap()[usize::try_from(id).unwrap() - 1];
        Current::new(tracing::span::Id::from_u64(id), metadata)
    }
}

/// Two functions with one name are to the store what one function in two processes is.
macro_rules! fleet {
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
        async fn one_process_renews_and_the_other_has_the_value() {
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
        fn a_process_that_dies_while_it_renews_does_not_keep_the_others_from_it() {
            let body = Body::held();
            let dying = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            other.block_on(async {
                there::load::put("dies", 7).await.unwrap();
                there::load::expire("dies").await.unwrap();
                dying.spawn(here::load(Arc::clone(&body), "dies"));
                body.has_begun(1).await;
                dying.shutdown_background();
                until("its computation ends with it", || body.running() == 0).await;
                body.let_all_through();
                // The lease may have to end by itself.
                eventually("another renews", async || there::load(Arc::clone(&body), "dies").await == 2).await;
            });
        }

        #[tokio::test]
        async fn ending_a_value_in_one_process_is_final_for_a_renewal_in_the_other() {
            let body = Body::held();
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
                until("the renewal ends", || body.running() == 0).await;
                for _ in 0..10 {
                    settle().await;
                    assert_eq!(there::load::peek(key).await, expires.then_some(7));
                }
            }
        }
    };
}

mod fleet_on_redis {
    use super::*;
    fleet!(crate::support::redis());
}
mod fleet_on_memcached {
    use super::*;
    fleet!(crate::support::memcached());
}

mod bounds {
    use super::*;

    #[async_cached(ttl = 600, stale_while_revalidate = "10m")]
    async fn many(key: usize) -> usize {
        assert!(key < 300);
        MANY.run().await
    }

    static MANY: std::sync::LazyLock<Arc<Body>> = std::sync::LazyLock::new(Body::held);

    const MARK: &str = "CACHED_TEST_RENEWALS";

    /// In a process of its own, because it leaves no room to other tests.
    #[tokio::test]
    async fn at_most_256_renewals_run_at_once_and_every_call_is_answered() {
        if std::env::var_os(MARK).is_none() {
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "stale::bounds::at_most_256_renewals_run_at_once_and_every_call_is_answered",
                ])
                .env(MARK, "1")
                .status()
                .unwrap();
            return assert!(status.success());
        }
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
        until("they end", || MANY.running() == 0).await;
        settle().await;
        for key in 0..300 {
            many(key).await;
        }
        settle().await;
        assert_eq!(MANY.begun(), 300, "there is room again");
    }

    #[test]
    fn a_renewal_ends_with_its_runtime_and_another_one_renews() {
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

    #[tokio::test(start_paused = true)]
    async fn a_value_is_stale_for_as_long_as_it_says_and_no_longer() {
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
}
