//! Helpers of several tests: stores on servers of this process, and bodies that a test observes and holds.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use cached_runtime::{Key, Lease, LeaseMode, Memcached, MemcachedConfig, Redis, RedisConfig, Store};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// A bound for everything that completes at all, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// A deadline that no operation on a healthy server exceeds.
pub(crate) const LONG_DEADLINE: Duration = Duration::from_secs(10);

/// The Redis server of this process.
pub(crate) static REDIS: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
/// The Memcached server of this process.
pub(crate) static MEMCACHED: LazyLock<MemcachedServer> = LazyLock::new(MemcachedServer::start);

/// Returns the store on [`REDIS`].
pub(crate) fn redis() -> Arc<dyn Store> {
    static STORE: LazyLock<Arc<Redis>> = LazyLock::new(|| Arc::new(redis_at(&REDIS.url(), LONG_DEADLINE)));
    STORE.clone()
}

/// Returns the store on [`MEMCACHED`].
pub(crate) fn memcached() -> Arc<dyn Store> {
    static STORE: LazyLock<Arc<Memcached>> =
        LazyLock::new(|| Arc::new(memcached_at(&MEMCACHED.addr(), LONG_DEADLINE)));
    STORE.clone()
}

pub(crate) fn redis_at(url: &str, deadline: Duration) -> Redis {
    Redis::new(RedisConfig::new(url).deadline(deadline).connect_timeout(deadline)).unwrap()
}

pub(crate) fn memcached_at(addr: &str, deadline: Duration) -> Memcached {
    Memcached::new(MemcachedConfig::new(addr).deadline(deadline).connect_timeout(deadline)).unwrap()
}

/// Requests a lease with a new token; returns it if it was granted.
pub(crate) async fn acquire(store: &dyn Store, key: &Key, term: Duration, mode: LeaseMode) -> Option<Lease> {
    let lease = Lease::random();
    store.acquire(key, lease, term, mode).await.unwrap().is_granted.then_some(lease)
}

/// Expands a macro of functions and tests once for each backend.
macro_rules! on_each_backend {
    ($tests:ident) => {
        mod memory {
            use super::*;
            $tests!("memory");
        }
        mod redis {
            use super::*;
            $tests!(crate::support::redis());
        }
        mod memcached {
            use super::*;
            $tests!(crate::support::memcached());
        }
    };
}
pub(crate) use on_each_backend;

/// A body that counts its runs and holds each until the test lets it through.
#[derive(Debug)]
pub(crate) struct Body {
    begun: AtomicUsize,
    running: AtomicUsize,
    gate: Semaphore,
}

impl Body {
    /// Creates a body whose runs are held.
    pub(crate) fn held() -> Arc<Self> {
        Arc::new(Self { begun: AtomicUsize::new(0), running: AtomicUsize::new(0), gate: Semaphore::new(0) })
    }

    /// Creates a body whose runs are not held.
    pub(crate) fn open() -> Arc<Self> {
        let body = Self::held();
        body.let_all_through();
        body
    }

    /// Runs the body. Returns the number of the run, from 1.
    pub(crate) async fn run(&self) -> usize {
        let number = self.begun.fetch_add(1, SeqCst) + 1;
        self.running.fetch_add(1, SeqCst);
        let _running = Running(self);
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        number
    }

    pub(crate) fn let_one_through(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn let_all_through(&self) {
        self.gate.close();
    }

    /// Returns how many runs have begun.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(SeqCst)
    }

    /// Returns how many runs have neither ended nor been dropped.
    pub(crate) fn running(&self) -> usize {
        self.running.load(SeqCst)
    }

    pub(crate) async fn has_begun(&self, times: usize) {
        until("a computation begins", || self.begun() >= times).await;
    }
}

/// Counts the end of a run, also if its future is dropped.
struct Running<'a>(&'a Body);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// The data behind a cached function: a version that a test changes.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) version: AtomicUsize,
    pub(crate) body: Arc<Body>,
}

impl Source {
    pub(crate) fn new(body: Arc<Body>) -> Arc<Self> {
        Arc::new(Self { version: AtomicUsize::new(1), body })
    }

    /// Reads the version, then runs the body.
    pub(crate) async fn read(&self) -> usize {
        let version = self.version.load(SeqCst);
        self.body.run().await;
        version
    }

    pub(crate) fn change(&self) {
        self.version.fetch_add(1, SeqCst);
    }
}

/// Lets other tasks run until a condition holds. The time limit is real time, also if the clock of tokio is paused.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "timed out: {what}");
        yield_now().await;
    }
}

/// Lets every ready task run, and those that these wake.
pub(crate) async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Polls a future once, then lets other tasks run.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = yield_now() => None,
    }
}
