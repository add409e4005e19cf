//! Single flight: one computation for concurrent callers, each of which is answered (G2, G3, G4).

use std::collections::BTreeMap;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cached_runtime::{async_cached, caches};
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::timeout;

use crate::support::{Body, SOON, on_each_backend, poll_once, settle, until};

const CALLERS: usize = 10_000;

/// An error that is `Clone`: all waiting callers get it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Shared(usize);

/// An error that is not `Clone`: only one caller gets it.
#[derive(Debug, PartialEq, Eq)]
struct Unique(usize);

/// Spawns callers, each in a task. Returns when each has begun its call.
async fn callers<T, F>(number: usize, call: impl Fn() -> F) -> JoinSet<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..number {
        let (arrived, call) = (Arc::clone(&arrived), call());
        tasks.spawn(async move {
            arrived.fetch_add(1, SeqCst);
            call.await
        });
    }
    until("every caller has begun", || arrived.load(SeqCst) == number).await;
    settle().await;
    tasks
}

async fn all<T: 'static>(tasks: JoinSet<T>) -> Vec<T> {
    timeout(SOON, tasks.join_all()).await.expect("every caller should be answered")
}

/// Returns each distinct answer with the number of callers that got it.
async fn answers<T: Ord + 'static>(tasks: JoinSet<T>) -> Vec<(T, usize)> {
    let mut counts = BTreeMap::new();
    for answer in all(tasks).await {
        *counts.entry(answer).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

/// Spawns a call and returns when it computes.
async fn leader<T, F>(body: &Body, call: F) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let task = tokio::spawn(call);
    body.has_begun(1).await;
    task
}

macro_rules! tests {
    ($($backend:tt)+) => {
        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn load(body: Arc<Body>, key: &'static str) -> usize {
            let number = body.run().await;
            assert!(number > 1 || !key.contains("panics"), "the first computation of {key}");
            number
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn fails_with_shared_error(body: Arc<Body>, key: &'static str) -> Result<usize, Shared> {
            assert!(!key.is_empty());
            Err(Shared(body.run().await))
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body))]
        async fn fails_with_unique_error(body: Arc<Body>, failures: usize) -> Result<usize, Unique> {
            let number = body.run().await;
            if number > failures { Ok(number) } else { Err(Unique(number)) }
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body), single_flight = "off")]
        async fn alone(body: Arc<Body>) -> usize {
            body.run().await
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body), detached)]
        async fn detached(body: Arc<Body>, key: &'static str) -> usize {
            let number = body.run().await;
            assert!(number > 1 || !key.contains("panics"), "the first computation of {key}");
            number
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(body), detached = "while_awaited")]
        async fn while_awaited(body: Arc<Body>, key: &'static str) -> usize {
            assert!(!key.is_empty());
            body.run().await
        }

        /// Spawns callers that wait for a computation. The store answers their requests before that of the last `peek`.
        async fn waiting<T, F>(number: usize, call: impl Fn() -> F) -> JoinSet<T>
        where
            T: Send + 'static,
            F: Future<Output = T> + Send + 'static,
        {
            let tasks = callers(number, call).await;
            for _ in 0..3 {
                assert_eq!(load::peek("nothing").await, None);
                settle().await;
            }
            tasks
        }

        #[tokio::test]
        async fn ten_thousand_callers_compute_once() {
            let body = Body::held();
            let tasks = waiting(CALLERS, || load(Arc::clone(&body), "cold")).await;
            body.has_begun(1).await;
            body.let_all_through();
            assert_eq!(answers(tasks).await, [(1, CALLERS)]);
            assert_eq!(body.begun(), 1);
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn ten_thousand_callers_on_four_threads_compute_once() {
            let body = Body::open();
            let tasks = waiting(CALLERS, || load(Arc::clone(&body), "cold on four threads")).await;
            assert_eq!(answers(tasks).await, [(1, CALLERS)], "{:?}", load::stats());
            assert_eq!(body.begun(), 1);
        }

        #[tokio::test]
        async fn an_aborted_leader_hands_over() {
            let body = Body::held();
            let leader = leader(&body, load(Arc::clone(&body), "aborted")).await;
            let tasks = waiting(CALLERS - 1, || load(Arc::clone(&body), "aborted")).await;
            leader.abort();
            assert!(leader.await.unwrap_err().is_cancelled());
            body.has_begun(2).await;
            body.let_all_through();
            assert_eq!(answers(tasks).await, [(2, CALLERS - 1)]);
            assert_eq!(body.begun(), 2);
        }

        #[tokio::test]
        async fn a_panicking_leader_hands_over() {
            let body = Body::held();
            let leader = leader(&body, load(Arc::clone(&body), "panics")).await;
            let tasks = waiting(CALLERS - 1, || load(Arc::clone(&body), "panics")).await;
            body.let_all_through();
            assert!(leader.await.unwrap_err().is_panic());
            assert_eq!(answers(tasks).await, [(2, CALLERS - 1)]);
            assert_eq!(body.begun(), 2);
        }

        #[tokio::test]
        async fn every_waiting_caller_gets_the_error_of_one_computation() {
            let body = Body::held();
            let tasks = waiting(CALLERS, || fails_with_shared_error(Arc::clone(&body), "fails")).await;
            body.has_begun(1).await;
            body.let_all_through();
            assert_eq!(answers(tasks).await, [(Err(Shared(1)), CALLERS)]);
            assert_eq!(body.begun(), 1);
        }

        #[tokio::test]
        async fn an_error_that_is_not_clone_is_retried_twice_before_all_callers_compute() {
            const NUMBER: usize = 500;
            let body = Body::held();
            let tasks = waiting(NUMBER, || fails_with_unique_error(Arc::clone(&body), usize::MAX)).await;
            for attempt in 1..=2 {
                body.has_begun(attempt).await;
                settle().await;
                assert_eq!((body.begun(), body.running()), (attempt, 1));
                body.let_one_through();
            }
            body.let_all_through();
            let mut errors: Vec<_> = all(tasks).await.into_iter().map(|got| got.unwrap_err().0).collect();
            errors.sort_unstable();
            assert_eq!(errors, (1..=NUMBER).collect::<Vec<_>>(), "each caller gets its own error");
        }

        #[tokio::test]
        async fn a_successful_retry_is_for_all_callers() {
            let body = Body::held();
            let tasks = waiting(CALLERS, || fails_with_unique_error(Arc::clone(&body), 1)).await;
            body.has_begun(1).await;
            body.let_all_through();
            let got = all(tasks).await;
            assert_eq!(got.iter().filter(|got| got.is_err()).count(), 1);
            assert!(got.iter().all(|got| matches!(got, Ok(2) | Err(Unique(1)))));
            assert_eq!(body.begun(), 2);
        }

        #[tokio::test]
        async fn an_unpolled_leader_that_continues_gets_its_own_result() {
            let body = Body::held();
            let mut first = pin!(load(Arc::clone(&body), "unpolled, continues"));
            while body.begun() == 0 {
                assert_eq!(poll_once(&mut first).await, None);
            }
            let other = tokio::spawn(load(Arc::clone(&body), "unpolled, continues"));
            body.let_all_through();
            assert_eq!(timeout(SOON, other).await.unwrap().unwrap(), 2);
            assert_eq!(timeout(SOON, first).await.unwrap(), 1);
        }

        #[tokio::test]
        async fn another_key_does_not_wait() {
            let (busy, quick) = (Body::held(), Body::open());
            let first = leader(&busy, load(Arc::clone(&busy), "busy")).await;
            assert_eq!(timeout(SOON, load(Arc::clone(&quick), "quick")).await.unwrap(), 1);
            assert_eq!(busy.running(), 1);
            busy.let_all_through();
            assert_eq!(first.await.unwrap(), 1);
        }

        #[tokio::test]
        async fn without_single_flight_every_caller_computes() {
            let body = Body::held();
            let tasks = waiting(100, || alone(Arc::clone(&body))).await;
            body.has_begun(100).await;
            body.let_all_through();
            let mut got = all(tasks).await;
            got.sort_unstable();
            assert_eq!(got, (1..=100).collect::<Vec<_>>());
            assert!(alone(Arc::clone(&body)).await <= 100, "one of the values is stored");
        }

        #[tokio::test]
        async fn a_detached_computation_continues_while_a_caller_waits() {
            let body = Body::held();
            let first = leader(&body, detached(Arc::clone(&body), "survives")).await;
            let tasks = waiting(CALLERS - 1, || detached(Arc::clone(&body), "survives")).await;
            first.abort();
            assert!(first.await.unwrap_err().is_cancelled());
            settle().await;
            assert_eq!((body.begun(), body.running()), (1, 1));
            body.let_all_through();
            assert_eq!(answers(tasks).await, [(1, CALLERS - 1)]);
            assert_eq!(detached(Arc::clone(&body), "survives").await, 1);
        }

        #[tokio::test]
        async fn a_computation_while_awaited_stops_with_its_last_caller() {
            let body = Body::held();
            let first = leader(&body, while_awaited(Arc::clone(&body), "stops")).await;
            let mut tasks = waiting(10, || while_awaited(Arc::clone(&body), "stops")).await;
            tasks.abort_all();
            while tasks.join_next().await.is_some() {}
            settle().await;
            assert_eq!(body.running(), 1);
            first.abort();
            until("the body is dropped", || body.running() == 0).await;
            body.let_all_through();
            assert_eq!(timeout(SOON, while_awaited(Arc::clone(&body), "stops")).await.unwrap(), 2);
            assert_eq!(while_awaited::stats().abandoned, 0);
        }

        #[tokio::test]
        async fn a_detached_computation_is_stored_although_every_caller_has_left() {
            let body = Body::held();
            let first = leader(&body, detached(Arc::clone(&body), "goes on")).await;
            let mut tasks = waiting(10, || detached(Arc::clone(&body), "goes on")).await;
            first.abort();
            tasks.abort_all();
            while tasks.join_next().await.is_some() {}
            until("it has no callers", || detached::stats().abandoned == 1).await;
            assert_eq!(body.running(), 1);
            let late = tokio::spawn(detached(Arc::clone(&body), "goes on"));
            settle().await;
            body.let_all_through();
            assert_eq!(timeout(SOON, late).await.unwrap().unwrap(), 1);
            assert_eq!((detached(Arc::clone(&body), "goes on").await, body.begun()), (1, 1));
        }

        #[tokio::test]
        async fn a_panic_of_a_detached_body_reaches_its_caller_only() {
            let body = Body::held();
            let first = leader(&body, detached(Arc::clone(&body), "panics")).await;
            let tasks = waiting(100, || detached(Arc::clone(&body), "panics")).await;
            body.let_all_through();
            let panic = first.await.unwrap_err().into_panic();
            let message = panic.downcast_ref::<String>().unwrap();
            assert_eq!(message, "the first computation of panics");
            assert_eq!(answers(tasks).await, [(2, 100)]);
        }

        #[test]
        fn a_leader_whose_runtime_ends_hands_over_to_another_runtime() {
            for (key, call) in [
                ("inline, runtime ends", (|body, key| Box::pin(load(body, key))) as Call),
                ("detached, runtime ends", |body, key| Box::pin(detached(body, key))),
            ] {
                let body = Body::held();
                let ending = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                let ending = ending.unwrap();
                ending.spawn(call(Arc::clone(&body), key));
                let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                other.block_on(async {
                    body.has_begun(1).await;
                    let tasks = waiting(1, || call(Arc::clone(&body), key)).await;
                    ending.shutdown_background();
                    body.has_begun(2).await;
                    body.let_all_through();
                    assert_eq!(all(tasks).await, [2]);
                });
            }
        }
    };
}

type Call = fn(Arc<Body>, &'static str) -> cached_runtime::BoxFuture<'static, usize>;

on_each_backend!(tests);

/// With the clock of tokio paused, in memory and in a store that uses this clock.
#[cfg(feature = "moved-clock")]
mod paused {
    use std::time::Duration;

    use cached_tests::map_store::MapStore;
    use tokio::time::{Instant, advance};

    use super::*;

    macro_rules! tests {
        ($($backend:tt)+) => {
            #[async_cached(ttl = 3600, backend = $($backend)+, skip(body))]
            async fn load(body: Arc<Body>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                body.run().await
            }

            #[tokio::test(start_paused = true)]
            async fn an_unpolled_leader_blocks_others_for_seconds_only() {
                let body = Body::held();
                let mut unpolled = Box::pin(load(Arc::clone(&body), "unpolled"));
                while body.begun() == 0 {
                    assert_eq!(poll_once(&mut unpolled).await, None);
                }
                let tasks = callers(100, || load(Arc::clone(&body), "unpolled")).await;
                let began = Instant::now();
                while body.begun() == 1 {
                    advance(Duration::from_millis(500)).await;
                    settle().await;
                }
                assert!(began.elapsed() <= Duration::from_secs(4), "{:?}", began.elapsed());
                body.let_all_through();
                assert_eq!(answers(tasks).await, [(2, 100)]);
                std::mem::forget(unpolled);
                assert_eq!(load(Arc::clone(&body), "unpolled").await, 2);
            }

            #[tokio::test(start_paused = true)]
            async fn a_polled_leader_blocks_others_for_half_a_minute() {
                let body = Body::held();
                let first = leader(&body, load(Arc::clone(&body), "slow")).await;
                let began = Instant::now();
                let other = tokio::spawn(load(Arc::clone(&body), "slow"));
                settle().await;
                for _ in 0..29 {
                    advance(Duration::from_secs(1)).await;
                    settle().await;
                }
                assert_eq!(body.begun(), 1, "the leader is polled");
                while body.begun() == 1 {
                    advance(Duration::from_secs(1)).await;
                    settle().await;
                }
                assert!(began.elapsed() <= Duration::from_secs(31), "{:?}", began.elapsed());
                body.let_all_through();
                assert_eq!(first.await.unwrap(), 1);
                assert_eq!(other.await.unwrap(), 2);
            }

            #[tokio::test(start_paused = true)]
            async fn a_computation_longer_than_the_longest_wait_is_cached() {
                const LONG: u64 = 40;
                let body = Body::held();
                let mut tasks = JoinSet::new();
                // At any time some caller has waited for long.
                for second in 0..=LONG {
                    tasks.spawn(load(Arc::clone(&body), "very slow"));
                    settle().await;
                    if second == LONG {
                        body.let_one_through(); // The first computation completes.
                    }
                    advance(Duration::from_secs(1)).await;
                    settle().await;
                }
                let computed = body.begun();
                let hit = tokio::spawn(load(Arc::clone(&body), "very slow"));
                settle().await;
                assert!(hit.is_finished(), "the result of the first computation");
                assert_eq!(hit.await.unwrap(), 1);
                assert_eq!(body.begun(), computed);
                assert!(computed <= 2, "{computed}");
                body.let_all_through();
                tasks.join_all().await;
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

/// Recursive calls: the inner call is polled by the outer computation.
macro_rules! recursion {
    ($($backend:tt)+) => {
        #[async_cached(ttl = 60, backend = $($backend)+, skip(left))]
        async fn itself(left: &AtomicUsize, key: &str) -> String {
            if left.fetch_sub(1, SeqCst) == 1 {
                return key.to_owned();
            }
            Box::pin(itself(left, key)).await + "!"
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(left))]
        async fn even(left: &AtomicUsize, key: &str) -> String {
            yield_now().await;
            Box::pin(odd(left, key)).await + "e"
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(left))]
        async fn odd(left: &AtomicUsize, key: &str) -> String {
            yield_now().await;
            if left.fetch_sub(1, SeqCst) == 1 {
                return key.to_owned();
            }
            Box::pin(even(left, key)).await + "o"
        }

        #[tokio::test]
        async fn a_recursive_call_with_the_same_key_computes() {
            let left = AtomicUsize::new(3);
            let call = timeout(SOON / 2, itself(&left, "a"));
            assert_eq!(call.await.expect("it should not wait for itself"), "a!!");
            assert_eq!(itself(&left, "a").await, "a!!", "the result of the outermost call is cached");
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(left))]
        async fn clearing(left: &AtomicUsize, key: &str) -> String {
            if left.fetch_sub(1, SeqCst) == 1 {
                return key.to_owned();
            }
            clearing::clear().await.unwrap();
            Box::pin(clearing(left, key)).await + "!"
        }

        #[tokio::test]
        async fn a_recursive_call_after_clear_computes() {
            let left = AtomicUsize::new(3);
            let call = timeout(SOON / 2, clearing(&left, "a"));
            assert_eq!(call.await.expect("it should not wait for itself"), "a!!");
        }

        #[tokio::test]
        async fn mutually_recursive_functions_compute() {
            let left = AtomicUsize::new(3);
            let call = timeout(SOON / 2, even(&left, "a"));
            assert_eq!(call.await.expect("they should not wait for each other"), "aeoeoe");
            assert_eq!(even(&left, "a").await, "aeoeoe");
        }
    };
}

/// Another computation of the key may begin as soon as the first one is not in flight any more.
#[tokio::test]
async fn an_aborted_computation_is_in_flight_until_its_body_has_ended() {
    static IN_FLIGHT_AT_THE_END: AtomicUsize = AtomicUsize::new(0);

    struct Held;

    impl Drop for Held {
        fn drop(&mut self) {
            let listed = caches().into_iter().find(|cache| cache.name() == "single_flight.aborted").unwrap();
            IN_FLIGHT_AT_THE_END.store(listed.instances()[0].computing(), SeqCst);
        }
    }

    #[async_cached(ttl = 600, name = "single_flight.aborted")]
    async fn aborted(key: u64) -> u64 {
        let _held = Held;
        pending::<()>().await;
        key
    }

    let mut call = Box::pin(aborted(1));
    assert!(poll_once(&mut call).await.is_none());
    drop(call);
    assert_eq!(IN_FLIGHT_AT_THE_END.load(SeqCst), 1);
}

mod recursion_in_memory {
    use super::*;
    recursion!("memory");
}
mod recursion_on_redis {
    use super::*;
    recursion!(crate::support::redis());
}
mod recursion_on_memcached {
    use super::*;
    recursion!(crate::support::memcached());
}
