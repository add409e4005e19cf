//! What turns caching off: for the process, for a function, and for the calls of one future.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cached_runtime::{Source, async_cached, recompute, set_enabled, uncached};
use cached_tests::in_own_process;
use cached_tests::own_process::only;
use tokio::task::yield_now;

use crate::support::{Body, on_each_backend, until};

macro_rules! switches {
    ($backend:expr) => {
        static VERSION: AtomicU64 = AtomicU64::new(1);

        #[async_cached(ttl = 600, backend = $backend)]
        async fn number(id: u64) -> u64 {
            id * 100 + VERSION.load(SeqCst)
        }

        fn hits() -> u64 {
            number::stats().hits + number::stats().shared_hits
        }

        #[tokio::test]
        async fn a_function_that_is_off_neither_reads_nor_stores() {
            in_own_process!();
            assert_eq!(number(1).await, 101);
            VERSION.store(2, SeqCst);
            number::set_enabled(false);
            assert_eq!((number(1).await, number(2).await, hits()), (102, 202, 0));
            assert_eq!(number::lookup(1).await.source, Source::Computed);
            assert_eq!(number::peek(1).await, None);
            assert_eq!(number::stats().bypassed, 3);
            number::set_enabled(true);
            // What was stored before is still there; what was computed meanwhile is not.
            VERSION.store(3, SeqCst);
            assert_eq!((number(1).await, number(2).await), (101, 203));
        }

        #[tokio::test]
        async fn what_invalidates_does_so_while_the_function_is_off() {
            in_own_process!();
            for id in 1..=5 {
                number(id).await;
            }
            VERSION.store(2, SeqCst);
            number::set_enabled(false);
            number::invalidate(1).await.unwrap();
            number::put(2, 5).await.unwrap();
            number::expire(3).await.unwrap();
            assert_eq!(number::refresh(4).await, 402);
            number::set_enabled(true);
            for id in 1..=4 {
                assert_eq!(number(id).await, id * 100 + 2, "{id}");
            }
            assert_eq!(number(5).await, 501);
            number::set_enabled(false);
            number::clear().await.unwrap();
            number::set_enabled(true);
            assert_eq!(number(5).await, 502);
        }

        #[tokio::test]
        async fn the_process_has_a_switch() {
            in_own_process!();
            number(1).await;
            set_enabled(false);
            set_enabled(false);
            number(1).await;
            number::set_enabled(true);
            number(1).await;
            assert_eq!(hits(), 0, "both switches are on, or the function is off");
            set_enabled(true);
            number(1).await;
            assert_eq!(hits(), 1);
        }

        #[tokio::test]
        async fn recompute_computes_and_stores() {
            in_own_process!();
            number(1).await;
            VERSION.store(2, SeqCst);
            let other_task = recompute(async {
                assert_eq!((number(1).await, number::peek(1).await), (102, None));
                tokio::spawn(async { number(1).await }).await.unwrap()
            });
            assert_eq!(other_task.await, 102);
            assert_eq!((hits(), number(1).await), (1, 102));
        }

        #[tokio::test]
        async fn recompute_leaves_nothing_outdated_while_caching_is_off() {
            in_own_process!();
            number(1).await;
            VERSION.store(2, SeqCst);
            number::set_enabled(false);
            assert_eq!(recompute(number(1)).await, 102);
            assert_eq!(uncached(number(1)).await, 102);
            number::set_enabled(true);
            assert_eq!((number::peek(1).await, number(1).await), (None, 102));
        }

        #[tokio::test]
        async fn uncached_neither_reads_nor_stores() {
            in_own_process!();
            number(1).await;
            VERSION.store(2, SeqCst);
            let inner = uncached(async {
                let inside = (number(1).await, number(2).await);
                // The innermost one counts.
                (inside, recompute(number(3)).await, number(1).await)
            });
            assert_eq!(inner.await, ((102, 202), 302, 102));
            VERSION.store(3, SeqCst);
            assert_eq!((number(1).await, number(2).await, number(3).await), (101, 203, 302));
        }
    };
}
on_each_backend!(switches);

static BODY: std::sync::LazyLock<std::sync::Arc<Body>> = std::sync::LazyLock::new(Body::held);

#[async_cached(ttl = 600)]
async fn held(_id: u64) -> usize {
    BODY.run().await
}

#[tokio::test]
async fn recompute_joins_no_computation_that_began_before() {
    in_own_process!();
    let earlier = tokio::spawn(held(1));
    BODY.has_begun(1).await;
    let later = tokio::spawn(recompute(held(1)));
    BODY.has_begun(2).await;
    BODY.let_all_through();
    assert_eq!(later.await.unwrap(), 2);
    earlier.await.unwrap();
    assert_eq!(held(1).await, 2, "the later one is stored");
}

#[tokio::test]
async fn what_is_computed_when_the_switch_is_turned_is_not_stored() {
    in_own_process!();
    let call = tokio::spawn(held(1));
    BODY.has_begun(1).await;
    held::set_enabled(false);
    BODY.let_all_through();
    call.await.unwrap();
    held::set_enabled(true);
    assert_eq!(held::stats().entries, 0);
}

#[async_cached(ttl = 600, detached)]
async fn outer(id: u64) -> u64 {
    yield_now().await;
    inner(id).await
}

#[async_cached(ttl = 600)]
async fn inner(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn computation_of_a_detached_function_is_included() {
    in_own_process!();
    outer(1).await;
    recompute(outer(1)).await;
    assert_eq!((outer::stats().computed, inner::stats().computed), (2, 2));
    uncached(outer(1)).await;
    assert_eq!((outer::stats().bypassed, inner::stats().bypassed), (1, 1));
    assert_eq!((outer::stats().hits, inner::stats().hits), (0, 0));
}

#[async_cached(ttl = 600, timeout = "10ms")]
async fn slow() -> Result<(), std::io::Error> {
    std::future::pending().await
}

#[tokio::test]
async fn timeout_of_the_function_applies_while_caching_is_off() {
    in_own_process!();
    assert_eq!(uncached(slow()).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

struct Shop;

impl Shop {
    #[async_cached(ttl = 600, skip(self))]
    pub(crate) async fn price(&self, id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn a_method_has_a_switch() {
    in_own_process!();
    Shop::price_cache().set_enabled(false);
    Shop.price(1).await;
    Shop::price_cache().set_enabled(true);
    Shop.price(1).await;
    let stats = Shop::price_cache().stats();
    assert_eq!((stats.bypassed, stats.computed), (1, 1));
}

#[tokio::test]
async fn a_scope_ends_with_its_future() {
    in_own_process!();
    let mut dropped = Box::pin(uncached(held(7)));
    until("the body begins", || {
        let waker = std::task::Waker::noop();
        let _ = dropped.as_mut().poll(&mut std::task::Context::from_waker(waker));
        BODY.begun() > 0
    })
    .await;
    drop(dropped);
    let panicking = tokio::spawn(uncached(async { panic!("a panic of the test") }));
    panicking.await.unwrap_err();
    inner(1).await;
    inner(1).await;
    assert_eq!((inner::stats().hits, inner::stats().bypassed), (1, 0));
}

/// The environment variable that gives a process its task.
const TASK: &str = "CACHED_TEST_SWITCHES";

#[test]
fn the_environment_turns_caching_off() {
    for (value, bypassed) in [("1", 2), ("true", 2), ("0", 0), ("", 0)] {
        let output = only("switches::task_of_a_process")
            .env("CACHED_DISABLED", value)
            .env(TASK, bypassed.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{value}: {output:?}");
    }
}

/// The entry point of the processes of the test above.
#[tokio::test]
async fn task_of_a_process() {
    let Ok(bypassed) = std::env::var(TASK) else { return };
    inner(1).await;
    inner(1).await;
    assert_eq!(inner::stats().bypassed.to_string(), bypassed);
    set_enabled(true);
    inner(1).await;
    inner(1).await;
    assert!(inner::stats().hits > 0);
}
