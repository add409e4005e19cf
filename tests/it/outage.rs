//! While a server fails, calls return the results of their functions in bounded time; afterwards they hit again.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cached_runtime::{BoxFuture, Result, Stats, Store, async_cached};
use cached_tests::proxy::{Proxy, Replies};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::servers::{Server, eventually};

/// The longest time that a call may take on a busy machine, whatever the server does.
const BOUND: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_millis(200);

/// The value of a function: its argument, and the number of the computation.
type Answer = (u64, u64);

/// Expands each scenario to one test per kind of server, with a function and a store of its own.
macro_rules! scenarios {
    ($($scenario:ident)*) => {$(
        mod $scenario {
            use super::*;

            scenarios!(of $scenario: redis, RedisServer);
            scenarios!(of $scenario: memcached, MemcachedServer);
        }
    )*};
    (of $scenario:ident: $kind:ident, $server:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $kind() {
            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
            static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

            #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()), skip(millis))]
            async fn answer(id: u64, millis: u64) -> Answer {
                let computation = COMPUTATIONS.fetch_add(1, Relaxed);
                sleep(Duration::from_millis(millis)).await;
                (id, computation)
            }

            super::$scenario::<$server>(Function {
                store: &STORE,
                computations: &COMPUTATIONS,
                call: |id, millis| Box::pin(answer(id, millis)),
                invalidate: |id| Box::pin(answer::invalidate(id)),
                put: |id, answer| Box::pin(answer::put(id, answer)),
                clear: || Box::pin(answer::clear()),
                peek: |id| Box::pin(answer::peek(id)),
                stats: answer::stats,
            })
            .await;
        }
    };
}

scenarios! {
    killed_before_the_first_call
    killed_between_calls
    killed_while_the_function_runs
    a_fill_that_fails
    stopped_between_calls
    stopped_while_the_function_runs
    connections_into_a_black_hole
    connections_cut_and_refused
    replies_that_never_come
    replies_that_come_late
    replies_of_garbage
    replies_that_are_cut_short
    a_server_of_another_kind
    changes_report_failures
    a_thousand_callers_of_one_cold_key
}

async fn killed_before_the_first_call<S: Server>(function: Function) {
    let mut server = S::start();
    server.kill();
    function.keeps_values_in(server.store());
    for id in 0..10 {
        function.computes(id).await;
    }
    assert!(function.stats().store_errors >= 10, "{:?}", function.stats());

    server.restart();
    function.hits_again().await;
}

async fn killed_between_calls<S: Server>(function: Function) {
    let mut server = S::start();
    function.keeps_values_in(server.store());
    function.hits_again().await;
    let errors = function.stats().store_errors;
    server.kill();
    for id in 0..10 {
        function.computes(id).await;
    }
    assert!(function.stats().store_errors >= errors + 10, "{:?}", function.stats());

    server.restart();
    function.hits_again().await;
}

async fn killed_while_the_function_runs<S: Server>(function: Function) {
    let mut server = S::start();
    function.keeps_values_in(server.store());
    function.hits_again().await;
    let errors = function.stats().store_errors;
    let calls = function.begin(8, 500).await;
    server.kill();
    calls.end().await;
    assert!(function.stats().store_errors > errors, "{:?}", function.stats());

    server.restart();
    function.hits_again().await;
}

async fn stopped_between_calls<S: Server>(function: Function) {
    let server = S::start();
    function.keeps_values_in(server.store());
    function.hits_again().await;
    let errors = function.stats().store_errors;
    server.stop();
    for id in 0..5 {
        function.computes(id).await;
    }
    assert!(function.stats().store_errors > errors, "{:?}", function.stats());

    server.cont();
    function.hits_again().await;
}

async fn stopped_while_the_function_runs<S: Server>(function: Function) {
    let server = S::start();
    function.keeps_values_in(server.store());
    function.hits_again().await;
    let errors = function.stats().store_errors;
    let calls = function.begin(8, 500).await;
    server.stop();
    calls.end().await;
    assert!(function.stats().store_errors > errors, "{:?}", function.stats());

    server.cont();
    function.hits_again().await;
}

async fn connections_into_a_black_hole<S: Server>(function: Function) {
    let server = S::start();
    let proxy = Proxy::start(&server.address());
    function.keeps_values_in(S::store_at(&proxy.addr(), DEADLINE));
    function.hits_again().await;
    let errors = function.stats().store_errors;
    let calls = function.begin(8, 500).await;
    proxy.black_hole();
    calls.end().await;
    assert!(function.stats().store_errors > errors, "{:?}", function.stats());

    // The open connections never recover: the store has to open another one.
    function.hits_again().await;
}

/// After a failed fill, later calls do not wait until the lease expires.
async fn a_fill_that_fails<S: Server>(function: Function) {
    let server = S::start();
    let proxy = Proxy::start(&server.address());
    function.keeps_values_in(S::store_at(&proxy.addr(), DEADLINE));
    function.hits_again().await;
    let calls = function.begin(8, 200).await;
    proxy.black_hole();
    calls.end().await;

    function.hits_again().await;
    for id in 0..8 {
        function.call(id).await;
    }
}

async fn connections_cut_and_refused<S: Server>(function: Function) {
    let server = S::start();
    let proxy = Proxy::start(&server.address());
    function.keeps_values_in(S::store_at(&proxy.addr(), DEADLINE));
    function.hits_again().await;
    let errors = function.stats().store_errors;
    let calls = function.begin(8, 500).await;
    proxy.refuse();
    proxy.cut();
    calls.end().await;
    function.computes(0).await;
    assert!(function.stats().store_errors > errors, "{:?}", function.stats());

    proxy.accept();
    function.hits_again().await;
}

async fn replies_that_never_come<S: Server>(function: Function) {
    let server = S::start();
    let proxy = Proxy::start(&server.address());
    function.keeps_values_in(S::store_at(&proxy.addr(), DEADLINE));
    function.hits_again().await;
    let errors = function.stats().store_errors;
    proxy.replies(Replies::Swallow);
    for id in 0..5 {
        function.computes(id).await;
    }
    assert!(function.stats().store_errors > errors, "{:?}", function.stats());

    proxy.replies(Replies::Pass);
    function.hits_again().await;
}

async fn replies_that_come_late<S: Server>(function: Function) {
    let server = S::start();
    let proxy = Proxy::start(&server.address());
    function.keeps_values_in(S::store_at(&proxy.addr(), DEADLINE));
    function.hits_again().await;
    let errors = function.stats().store_errors;
    proxy.delay(Duration::from_secs(2));
    for id in 0..5 {
        function.computes(id).await;
    }
    assert!(function.stats().store_errors > errors, "{:?}", function.stats());

    proxy.delay(Duration::ZERO);
    function.hits_again().await;
}

async fn replies_of_garbage<S: Server>(function: Function) {
    let server = S::start();
    let proxy = Proxy::start(&server.address());
    function.keeps_values_in(S::store_at(&proxy.addr(), DEADLINE));
    function.hits_again().await;
    for every in [1, 2, 3, 5, 7, 11, 19, 40, 73, 99] {
        // A stored value, whose replies are then corrupted.
        let known = function.call(every).await;
        proxy.replies(Replies::Corrupt(usize::try_from(every).unwrap()));
        for _ in 0..3 {
            function.call(every).await;
            function.call(known + 1_000).await;
        }
        proxy.replies(Replies::Pass);
        function.hits_again().await;
    }
    assert!(function.stats().store_errors > 0, "{:?}", function.stats());
}

async fn replies_that_are_cut_short<S: Server>(function: Function) {
    let server = S::start();
    let proxy = Proxy::start(&server.address());
    function.keeps_values_in(S::store_at(&proxy.addr(), DEADLINE));
    function.hits_again().await;
    for length in [0, 1, 2, 5, 20, 60, 100] {
        function.call(length).await;
        proxy.replies(Replies::Truncate(usize::try_from(length).unwrap()));
        for _ in 0..3 {
            function.call(length).await;
            function.call(length + 1_000).await;
        }
        proxy.replies(Replies::Pass);
        function.hits_again().await;
    }
    assert!(function.stats().store_errors > 0, "{:?}", function.stats());
}

async fn a_server_of_another_kind<S: Server>(function: Function) {
    let other = S::Other::start();
    function.keeps_values_in(S::store_at(&other.address(), DEADLINE));
    for id in 0..5 {
        function.computes(id).await;
    }
    assert!(function.stats().store_errors >= 5, "{:?}", function.stats());
}

/// A change returns an error if the store did not confirm it.
async fn changes_report_failures<S: Server>(function: Function) {
    let mut server = S::start();
    function.keeps_values_in(server.store());
    function.hits_again().await;

    server.kill();
    let begun = Instant::now();
    (function.invalidate)(1).await.unwrap_err();
    (function.put)(1, (1, 99)).await.unwrap_err();
    (function.clear)().await.unwrap_err();
    assert_eq!((function.peek)(1).await, None);
    assert!(begun.elapsed() < BOUND, "it took {:?}", begun.elapsed());

    server.restart();
    eventually("`put` succeeds", async || (function.put)(1, (1, 99)).await.is_ok()).await;
    assert_eq!(function.call(1).await, 99);
    eventually("`invalidate` succeeds", async || (function.invalidate)(1).await.is_ok()).await;
    assert_ne!(function.call(1).await, 99);
    eventually("`put` succeeds", async || (function.put)(1, (1, 99)).await.is_ok()).await;
    eventually("`clear` succeeds", async || (function.clear)().await.is_ok()).await;
    assert_ne!(function.call(1).await, 99);
}

async fn a_thousand_callers_of_one_cold_key<S: Server>(function: Function) {
    let mut server = S::start();
    server.kill();
    function.keeps_values_in(server.store());
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        calls.spawn((function.call)(1, 2_000));
    }
    let answers = timeout(2 * BOUND, calls.join_all()).await.expect("callers wait for a bounded time");
    // Without the store, invalidations by other processes are unknown: callers that arrive during the computation share
    // a second one.
    assert!(answers.iter().all(|answer| [(1, 0), (1, 1)].contains(answer)));
    assert!(function.computations.load(Relaxed) <= 2);
    assert!(function.stats().store_errors > 0);
}

/// A cached function, its companions and its store.
#[derive(Clone, Copy)]
struct Function {
    store: &'static OnceLock<Arc<dyn Store>>,
    computations: &'static AtomicU64,
    call: fn(u64, u64) -> BoxFuture<'static, Answer>,
    invalidate: fn(u64) -> BoxFuture<'static, Result<()>>,
    put: fn(u64, Answer) -> BoxFuture<'static, Result<()>>,
    clear: fn() -> BoxFuture<'static, Result<()>>,
    peek: fn(u64) -> BoxFuture<'static, Option<Answer>>,
    stats: fn() -> Stats,
}

impl Function {
    fn keeps_values_in(&self, store: Arc<dyn Store>) {
        self.store.set(store).unwrap();
    }

    fn stats(&self) -> Stats {
        (self.stats)()
    }

    /// Calls, and returns the number of the computation. Checks the argument and the time limit.
    async fn call(&self, id: u64) -> u64 {
        let answer = timeout(BOUND, (self.call)(id, 0)).await.expect("a call takes a bounded time");
        assert_eq!(answer.0, id, "the value belongs to the argument");
        answer.1
    }

    /// Calls, and expects a computation.
    async fn computes(&self, id: u64) {
        let next = self.computations.load(Relaxed);
        assert_eq!(self.call(id).await, next, "the call computes");
    }

    /// Calls until the store answers one of the calls.
    async fn hits_again(&self) {
        // Always a new key: an earlier one may still have a lease whose release failed.
        static NEXT: AtomicU64 = AtomicU64::new(1_000_000);
        eventually("the store is used", async || {
            let id = NEXT.fetch_add(1, Relaxed);
            let computation = self.call(id).await;
            let hits = self.stats().shared_hits;
            self.call(id).await == computation && self.stats().shared_hits == hits + 1
        })
        .await;
    }

    /// Calls one key from several tasks, and each of the other keys once. Returns when all of these keys compute.
    async fn begin(&self, others: u64, millis: u64) -> Calls {
        let target = self.computations.load(Relaxed) + 1 + others;
        let mut calls = JoinSet::new();
        for id in (0..others).chain([500; 8]) {
            let call = (self.call)(id, millis);
            calls.spawn(async move { assert_eq!(call.await.0, id, "the value belongs to the argument") });
        }
        eventually("the functions run", async || self.computations.load(Relaxed) == target).await;
        Calls(calls)
    }
}

/// Calls in flight.
struct Calls(JoinSet<()>);

impl Calls {
    async fn end(self) {
        timeout(BOUND, self.0.join_all()).await.expect("a call takes a bounded time");
    }
}

/// Expands to a test of a server that answers after 1.5 seconds, within the deadline of the store.
macro_rules! slow_but_in_time {
    ($name:ident, $server:ty, $store:expr) => {
        #[tokio::test]
        async fn $name() {
            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            #[async_cached(ttl = 600, backend = STORE.get().unwrap().clone())]
            async fn answer(id: u64) -> u64 {
                id
            }

            let server = <$server>::start();
            let proxy = Proxy::start(&server.addr());
            STORE.set(Arc::new($store(proxy.addr(), Duration::from_secs(3)))).unwrap();
            answer(1).await;
            proxy.delay(Duration::from_millis(750));
            let start = Instant::now();
            assert_eq!(answer(1).await, 1);
            assert!(start.elapsed() >= Duration::from_millis(1500));
            let Stats { computed, shared_hits, store_errors, .. } = answer::stats();
            assert_eq!((computed, shared_hits, store_errors), (1, 1, 0));
        }
    };
}
slow_but_in_time!(an_answer_within_a_long_deadline_is_a_hit_on_redis, RedisServer, |addr, deadline| {
    crate::support::redis_at(&format!("redis://{addr}"), deadline)
});
slow_but_in_time!(
    an_answer_within_a_long_deadline_is_a_hit_on_memcached,
    MemcachedServer,
    |addr: String, deadline| { crate::support::memcached_at(&addr, deadline) }
);
