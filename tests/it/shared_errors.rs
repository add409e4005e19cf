//! What waiting callers get when the function fails: an error of their own, made of one computation where the type of the
//! error allows it, and at most four computations at a time where it does not (G4).

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cached_runtime::async_cached;
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

/// An error that cannot be shared.
#[derive(Debug)]
struct Single(usize);

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
    };
}

on_each_backend!(tests);
