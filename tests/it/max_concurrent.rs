//! `max_concurrent`: how many computations of a function run at a time, and what calls over the bound do.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cached_runtime::{Store, async_cached};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use crate::support::{Body, SOON, on_each_backend, redis_at, settle, until};

/// A store without a server.
fn down() -> Arc<dyn Store> {
    static STORE: LazyLock<Arc<dyn Store>> =
        LazyLock::new(|| Arc::new(redis_at("redis://127.0.0.1:1", Duration::from_millis(200))));
    Arc::clone(&STORE)
}

async fn all<T: 'static>(tasks: JoinSet<T>) -> Vec<T> {
    timeout(SOON, tasks.join_all()).await.expect("every call should be answered")
}

macro_rules! tests {
    ($($backend:tt)+) => {
        #[async_cached(ttl = 60, max_concurrent = 2, backend = $($backend)+, skip(body))]
        async fn load(test: &'static str, n: usize, body: &Body) -> usize {
            let _ = test; // Only a part of the key.
            body.run().await;
            n
        }

        /// Calls of ten keys, three of each.
        fn calls(test: &'static str, body: &Arc<Body>) -> JoinSet<usize> {
            let mut tasks = JoinSet::new();
            for n in 0..30 {
                let body = Arc::clone(body);
                tasks.spawn(async move { load(test, n % 10, &body).await });
            }
            tasks
        }

        #[tokio::test]
        async fn no_more_run_at_a_time_and_each_key_is_computed_once() {
            let body = Body::held();
            let tasks = calls("bound", &body);
            for computed in 1..=10 {
                body.has_begun((computed + 1).min(10)).await;
                settle().await;
                assert_eq!(body.running(), 2.min(11 - computed));
                body.let_one_through();
                let left = 10 - computed;
                until("a computation ends", || body.running() <= left).await;
            }
            assert_eq!(all(tasks).await.len(), 30);
            assert_eq!(body.begun(), 10);
        }

        #[tokio::test]
        async fn a_dropped_call_gives_its_place_back() {
            let body = Body::held();
            let mut tasks = JoinSet::new();
            for n in 0..2 {
                let body = Arc::clone(&body);
                tasks.spawn(async move { load("dropped", n, &body).await });
            }
            body.has_begun(2).await;
            let waiting = { let body = Arc::clone(&body); tokio::spawn(async move { load("dropped", 2, &body).await }) };
            let dropped = { let body = Arc::clone(&body); tokio::spawn(async move { load("dropped", 3, &body).await }) };
            settle().await;
            assert_eq!(body.begun(), 2);
            dropped.abort();
            assert!(dropped.await.unwrap_err().is_cancelled());
            tasks.shutdown().await;
            body.has_begun(3).await;
            body.let_all_through();
            assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap(), 2);
        }
    };
}
on_each_backend!(tests);

mod without_a_server {
    use super::*;
    tests!(super::down());
}

#[async_cached(ttl = 60, max_concurrent = 1)]
async fn sum(n: u64) -> u64 {
    if n == 0 { 0 } else { n + Box::pin(sum(n - 1)).await }
}

#[tokio::test]
async fn calls_of_a_computation_do_not_wait_for_it() {
    assert_eq!(timeout(SOON, sum(20)).await.unwrap(), 210);
}

#[async_cached(ttl = 60, max_concurrent = 1, skip(body))]
async fn outer_of_inner(n: u64, body: &Body) -> u64 {
    body.run().await;
    if n == 0 { 0 } else { 1 + Box::pin(outer_of_inner(n - 1, body)).await }
}

/// The computation of 1 has the only place, and calls 0, for which another call waits already.
#[tokio::test]
async fn a_computation_that_another_one_needs_does_not_wait() {
    let body = Body::held();
    let spawn = |n| {
        let body = Arc::clone(&body);
        tokio::spawn(async move { outer_of_inner(n, &body).await })
    };
    let outer = spawn(1);
    body.has_begun(1).await;
    let inner = spawn(0);
    settle().await;
    assert_eq!(body.begun(), 1);
    body.let_all_through();
    assert_eq!(timeout(Duration::from_secs(10), outer).await.unwrap().unwrap(), 1);
    assert_eq!(timeout(SOON, inner).await.unwrap().unwrap(), 0);
    assert_eq!(body.begun(), 2);
}

#[async_cached(ttl = 60, max_concurrent = 1, skip(fails))]
async fn panics(n: u64, fails: bool) -> u64 {
    yield_now().await;
    assert!(!fails, "it is to fail");
    n
}

#[tokio::test]
async fn a_panic_gives_the_place_back() {
    assert!(tokio::spawn(panics(1, true)).await.is_err());
    assert_eq!(timeout(SOON, panics(2, false)).await.unwrap(), 2);
}

static VERSION: AtomicUsize = AtomicUsize::new(1);

#[async_cached(ttl = "1ms", stale_if_error = 60, max_concurrent = 1, skip(body))]
async fn versioned(n: usize, body: &Body) -> Result<usize, String> {
    let version = VERSION.load(SeqCst);
    body.run().await;
    Ok(version + n)
}

#[tokio::test]
async fn a_call_over_the_bound_returns_the_stale_value() {
    assert_eq!(versioned(10, &Body::open()).await, Ok(11));
    VERSION.store(2, SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let body = Body::held();
    let other = {
        let body = Arc::clone(&body);
        tokio::spawn(async move { versioned(20, &body).await })
    };
    body.has_begun(1).await;
    assert_eq!(timeout(SOON, versioned(10, &body)).await.unwrap(), Ok(11));
    assert_eq!(body.begun(), 1);
    body.let_all_through();
    assert_eq!(other.await.unwrap(), Ok(22));
    assert_eq!(timeout(SOON, versioned(10, &body)).await.unwrap(), Ok(12));
}

#[async_cached(ttl = "1ms", stale_if_error = 60, max_concurrent = 1, skip(outcome, body))]
async fn recovering(n: usize, outcome: Result<usize, String>, body: &Body) -> Result<usize, String> {
    body.run().await;
    outcome.map(|version| version + n)
}

/// A call that finds all places taken does not use up the retry that its key has once a second after a failure.
#[tokio::test]
async fn a_call_over_the_bound_leaves_the_retry_to_the_next_one() {
    let (open, body) = (Body::open(), Body::held());
    assert_eq!(recovering(10, Ok(1), &open).await, Ok(11));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(recovering(10, Err("down".into()), &open).await, Ok(11));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let other = {
        let body = Arc::clone(&body);
        tokio::spawn(async move { recovering(20, Ok(2), &body).await })
    };
    body.has_begun(1).await;
    assert_eq!(recovering(10, Ok(2), &open).await, Ok(11), "the only place is taken");
    body.let_all_through();
    assert_eq!(other.await.unwrap(), Ok(22));
    assert_eq!(recovering(10, Ok(2), &open).await, Ok(12), "there is a place");
}

#[async_cached(ttl = "1ms", stale_while_revalidate = 60, max_concurrent = 1, skip(body))]
async fn refreshed(n: usize, body: Arc<Body>) -> usize {
    body.run().await + n
}

#[tokio::test]
async fn a_refresh_in_the_background_does_not_wait_for_a_place() {
    assert_eq!(refreshed(10, Body::open()).await, 11);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let body = Body::held();
    let other = tokio::spawn(refreshed(20, Arc::clone(&body)));
    body.has_begun(1).await;
    for _ in 0..3 {
        assert_eq!(refreshed(10, Arc::clone(&body)).await, 11);
        settle().await;
    }
    assert_eq!(body.begun(), 1);
    body.let_all_through();
    assert_eq!(other.await.unwrap(), 21);
    // Now there is a place.
    assert_eq!(refreshed(10, Arc::clone(&body)).await, 11);
    until("the value is refreshed", || body.begun() == 2).await;
}

#[cfg(feature = "moved-clock")]
mod wait {
    use super::*;

    #[async_cached(ttl = 60, max_concurrent = 1, skip(body))]
    async fn held(n: usize, body: &Body) -> usize {
        body.run().await;
        n
    }

    /// The clock is moved by the timers: nothing else wakes.
    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_the_wait_budget_computes() {
        let body = Body::held();
        let spawn = |n| {
            let body = Arc::clone(&body);
            tokio::spawn(async move { held(n, &body).await })
        };
        let start = tokio::time::Instant::now();
        let _first = spawn(1);
        body.has_begun(1).await;
        let (second, follower) = (spawn(2), spawn(2));
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert_eq!(body.begun(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(body.begun(), 2);
        body.let_all_through();
        assert_eq!((second.await.unwrap(), follower.await.unwrap()), (2, 2));
        assert!(start.elapsed() < Duration::from_secs(35));
        assert_eq!(body.begun(), 2);
    }
}
