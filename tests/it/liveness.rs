//! Leaders that are busy, slow, silent or gone, and callers that leave: who computes, and who waits for how long (G2, G3).

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cached_runtime::async_cached;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The number of callers of most tests.
const CALLERS: usize = 20;

/// Makes [`CALLERS`] calls at once; returns their answers, and when the last one was there.
async fn all_at_once<T, F>(call: impl Fn() -> F) -> (Vec<T>, Duration)
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let began = Instant::now();
    let calls: JoinSet<_> = (0..CALLERS).map(|_| call()).collect();
    (calls.join_all().await, began.elapsed())
}

mod busy {
    use std::future::poll_fn;
    use std::task::Poll;

    use cached_runtime::configure;
    use cached_tests::in_own_process;

    use super::*;

    static IN_MEMORY: AtomicUsize = AtomicUsize::new(0);

    /// In memory a leader is replaced when it is silent for 3 seconds.
    #[async_cached(ttl = 60)]
    async fn in_memory() -> usize {
        tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(3_600)));
        IN_MEMORY.fetch_add(1, SeqCst)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_body_that_keeps_its_thread_busy_computes_once_in_memory() {
        let (answers, _) = all_at_once(in_memory).await;
        assert_eq!(answers, [0; CALLERS]);
        assert_eq!(IN_MEMORY.load(SeqCst), 1);
    }

    /// The lease term of the tests in shared stores; the bodies take longer.
    const TERM: Duration = Duration::from_secs(3);

    macro_rules! shared {
        ($($backend:tt)+) => {
            static COMPUTED: AtomicUsize = AtomicUsize::new(0);

            #[async_cached(ttl = 60, backend = $($backend)+)]
            async fn in_place() -> usize {
                tokio::task::block_in_place(|| std::thread::sleep(TERM * 3 / 2));
                COMPUTED.fetch_add(1, SeqCst);
                7
            }

            #[async_cached(ttl = 60, backend = $($backend)+)]
            async fn on_a_worker() -> usize {
                std::thread::sleep(TERM * 3 / 2);
                COMPUTED.fetch_add(1, SeqCst);
                8
            }

            /// Computes once what takes longer than the term of the lease, and stores it.
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn a_body_that_keeps_its_thread_busy_is_stored() {
                in_own_process!();
                configure().lease(TERM).install().unwrap();
                let ((in_place_answers, _), (worker_answers, _)) = tokio::join!(all_at_once(in_place), all_at_once(on_a_worker));
                assert_eq!((in_place_answers, worker_answers), (vec![7; CALLERS], vec![8; CALLERS]));
                assert_eq!(COMPUTED.load(SeqCst), 2);
                assert_eq!((in_place::peek().await, on_a_worker::peek().await), (Some(7), Some(8)));
                assert_eq!(in_place::stats().rejected_fills + on_a_worker::stats().rejected_fills, 0);
            }

            static BLOCKED: AtomicUsize = AtomicUsize::new(0);

            #[async_cached(ttl = 60, backend = $($backend)+)]
            async fn everything() -> usize {
                // Memcached may keep a lease for up to two seconds longer.
                std::thread::sleep(TERM * 2);
                BLOCKED.fetch_add(1, SeqCst)
            }

            /// Where the only thread is busy, nothing can extend the lease: the result is returned, but not stored.
            #[tokio::test]
            async fn a_body_that_keeps_every_thread_busy_is_counted() {
                in_own_process!();
                configure().lease(TERM).install().unwrap();
                assert_eq!(everything().await, 0);
                assert_eq!((everything::peek().await, everything::stats().rejected_fills), (None, 1));
            }

            static SILENT: AtomicUsize = AtomicUsize::new(0);

            #[async_cached(ttl = 60, backend = $($backend)+)]
            async fn silent(_key: u8) -> usize {
                let number = SILENT.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
                number
            }

            /// The caller that takes over from a leader that is never polled again also has its lease: it stores the result.
            #[tokio::test]
            async fn the_lease_of_a_silent_leader_is_taken_over() {
                let mut never_polled = Vec::new();
                for key in [0, 1] {
                    let mut call = Box::pin(silent(key));
                    while SILENT.load(SeqCst) == usize::from(key) {
                        assert!(is_pending(call.as_mut()).await);
                    }
                    never_polled.push(call);
                }
                let began = Instant::now();
                assert_eq!(silent(0).await, 2);
                assert_eq!(silent::peek(0).await, Some(2));
                // Nobody has waited for this key.
                assert_eq!(silent(1).await, 3);
                assert_eq!(silent::peek(1).await, Some(3));
                assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());

                // Polled again after all, they return their results, which are not stored, and counted.
                for (number, call) in never_polled.into_iter().enumerate() {
                    assert_eq!(call.await, number);
                }
                let stats = silent::stats();
                assert_eq!((stats.rejected_fills, stats.expired_leases), (2, 2));
                assert_eq!((silent::peek(0).await, silent::peek(1).await), (Some(2), Some(3)));
            }
        };
    }

    /// Polls a future once, and lets other tasks run; returns `true` if it is pending.
    async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        let is_pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
        tokio::task::yield_now().await;
        is_pending
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

#[cfg(feature = "moved-clock")]
mod slow {
    use std::future::{pending, poll_fn};
    use std::task::Poll;

    use super::*;

    static COMPUTED: AtomicUsize = AtomicUsize::new(0);
    static UNCACHED: AtomicUsize = AtomicUsize::new(0);
    static HANGS: AtomicUsize = AtomicUsize::new(0);

    #[async_cached(ttl = 60)]
    async fn load() -> usize {
        let number = COMPUTED.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_secs(35)).await;
        number
    }

    /// The callers that wait when the budget ends: one of them computes, and the first result is for all others.
    #[tokio::test(start_paused = true)]
    async fn a_computation_beyond_the_wait_budget_costs_one_more() {
        let (answers, took) = all_at_once(load).await;
        assert_eq!(COMPUTED.load(SeqCst), 2);
        assert!(took < Duration::from_secs(66), "{took:?}");
        assert_eq!(answers.iter().filter(|answer| **answer == 0).count(), CALLERS - 1);
        assert_eq!(load().await, 1, "stored last");
    }

    /// All callers but the one that computes have their answer after 35 seconds.
    #[tokio::test(start_paused = true)]
    async fn the_first_result_wakes_the_followers_of_all_flights() {
        for cached in [true, false] {
            let before = UNCACHED.load(SeqCst);
            let began = Instant::now();
            let mut calls: JoinSet<_> = (0..CALLERS).map(|_| slow(cached)).collect();
            for _ in 0..CALLERS - 1 {
                assert_eq!(calls.join_next().await.unwrap().unwrap(), before);
            }
            assert!(began.elapsed() < Duration::from_secs(36), "{:?}", began.elapsed());
            assert_eq!(calls.join_next().await.unwrap().unwrap(), before + 1);
            assert_eq!(UNCACHED.load(SeqCst), before + 2);
        }
    }

    #[async_cached(ttl = 600, cache_if = |_: &usize| false)]
    async fn slow(_cached: bool) -> usize {
        let number = UNCACHED.fetch_add(1, SeqCst);
        tokio::time::sleep(Duration::from_secs(35)).await;
        number
    }

    #[async_cached(ttl = 600)]
    async fn hang() -> usize {
        if HANGS.fetch_add(1, SeqCst) < 6 {
            return pending().await;
        }
        7
    }

    /// One computation more for each budget, of which four are kept.
    #[tokio::test(start_paused = true)]
    async fn computations_that_hang_are_replaced_one_by_one() {
        let began = Instant::now();
        let mut calls: JoinSet<_> = (0..CALLERS).map(|_| hang()).collect();
        for _ in 0..CALLERS - 6 {
            assert_eq!(calls.join_next().await.unwrap().unwrap(), 7);
        }
        assert_eq!(HANGS.load(SeqCst), 7);
        assert!(began.elapsed() < Duration::from_secs(6 * 30 + 10), "{:?}", began.elapsed());
    }

    static SILENT: AtomicUsize = AtomicUsize::new(0);

    #[async_cached(ttl = 600)]
    async fn silent() -> usize {
        let number = SILENT.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        number
    }

    /// A leader that is polled again after it was replaced returns its own result.
    #[tokio::test(start_paused = true)]
    async fn a_silent_leader_is_replaced_once() {
        let mut first = Box::pin(silent());
        let is_pending = poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending())).await;
        assert!(is_pending);
        let (answers, took) = all_at_once(silent).await;
        assert_eq!(answers, [1; CALLERS]);
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!((first.await, SILENT.load(SeqCst)), (0, 2));
    }
}

/// A runtime that shuts down while `Handle::block_on` polls a call.
mod shutdown {
    use std::sync::Arc;
    use std::thread;

    use cached_runtime::configure;
    use cached_tests::in_own_process;
    use tokio::runtime::{Builder, Handle, Runtime};

    use super::*;
    use crate::support::{Body, SOON};

    type Answer = usize;
    type Call = fn(Arc<Body>, &'static str) -> cached_runtime::BoxFuture<'static, Answer>;

    #[async_cached(ttl = 60, skip(body))]
    async fn in_callers_task(body: Arc<Body>, key: &'static str) -> Answer {
        assert!(!key.is_empty());
        body.run().await
    }

    #[async_cached(ttl = 60, skip(body), detached)]
    async fn detached(body: Arc<Body>, key: &'static str) -> Answer {
        assert!(!key.is_empty());
        body.run().await
    }

    #[async_cached(ttl = 60, skip(body), detached, backend = crate::support::redis())]
    async fn on_redis(body: Arc<Body>, key: &'static str) -> Answer {
        assert!(!key.is_empty());
        body.run().await
    }

    #[async_cached(ttl = 60, skip(body), backend = crate::support::memcached())]
    async fn on_memcached(body: Arc<Body>, key: &'static str) -> Answer {
        assert!(!key.is_empty());
        body.run().await
    }

    const CALLS: [Call; 4] = [
        |body, key| Box::pin(in_callers_task(body, key)),
        |body, key| Box::pin(detached(body, key)),
        |body, key| Box::pin(on_redis(body, key)),
        |body, key| Box::pin(on_memcached(body, key)),
    ];

    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let end = std::time::Instant::now() + SOON;
        while !holds() {
            assert!(std::time::Instant::now() < end, "timed out: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Shuts a runtime down, and returns when it runs no tasks.
    fn shut_down(runtime: Runtime) -> Handle {
        let handle = runtime.handle().clone();
        runtime.shutdown_background();
        until("the runtime is down", || handle.spawn(async {}).is_finished());
        handle
    }

    #[test]
    fn the_leader_goes_on() {
        for call in CALLS {
            let (runtime, body) = (runtime(), Body::held());
            let (handle, call) = (runtime.handle().clone(), call(Arc::clone(&body), "leader"));
            let caller = thread::spawn(move || handle.block_on(call));
            until("it computes", || body.begun() == 1);
            thread::sleep(Duration::from_millis(20));
            shut_down(runtime);
            // Longer than the pause between two heartbeats.
            thread::sleep(Duration::from_millis(1_200));
            body.let_all_through();
            assert_eq!(caller.join().unwrap(), 1);
        }
    }

    #[test]
    fn a_follower_goes_on() {
        for call in CALLS {
            let (runtime, body) = (runtime(), Body::held());
            let (handle, follower) = (runtime.handle().clone(), call(Arc::clone(&body), "follower"));
            runtime.spawn(call(Arc::clone(&body), "follower"));
            until("it computes", || body.begun() == 1);
            let caller = thread::spawn(move || handle.block_on(follower));
            thread::sleep(Duration::from_millis(50));
            shut_down(runtime);
            body.let_all_through();
            // The second computation, or the first one if the caller has taken that over.
            let number = caller.join().unwrap();
            assert!([1, 2].contains(&number), "{number}");
        }
    }

    #[async_cached(ttl = 60, backend = crate::support::redis())]
    async fn never_called(key: usize) -> usize {
        key
    }

    /// Companions return; those that would have to change a store say that they could not.
    #[test]
    fn companions_after_the_shutdown_return() {
        in_own_process!();
        configure().shared(crate::support::redis()).install().unwrap();
        let body = Body::held();
        body.let_all_through();
        let started = runtime();
        started.block_on(async {
            on_redis(Arc::clone(&body), "companions").await;
            on_memcached(Arc::clone(&body), "companions").await;
        });
        let handle = shut_down(started);
        let companions = thread::spawn(move || {
            handle.block_on(async {
                let key = "companions";
                in_callers_task::put(key, 7).await.unwrap();
                assert_eq!(in_callers_task::peek(key).await, Some(7));
                in_callers_task::invalidate(key).await.unwrap();
                on_redis::put(key, 7).await.unwrap_err();
                on_redis::expire(key).await.unwrap_err();
                on_redis::invalidate(key).await.unwrap_err();
                on_redis::clear().await.unwrap_err();
                on_memcached::put(key, 7).await.unwrap_err();
                on_memcached::expire(key).await.unwrap_err();
                on_memcached::invalidate(key).await.unwrap_err();
                on_memcached::clear().await.unwrap_err();
                never_called::clear().await.unwrap_err();
                assert_eq!((on_redis::peek(key).await, on_memcached::peek(key).await), (None, None));
                on_redis::refresh(Arc::clone(&body), key).await;
                on_memcached::lookup(Arc::clone(&body), key).await;
                cached_runtime::connect().await.unwrap_err();
                let report = cached_runtime::shutdown(SOON).await;
                assert!(report.invalidations_left > 0, "{report:?}");
            });
        });
        companions.join().unwrap();
    }

    #[test]
    fn a_call_after_the_shutdown_computes() {
        for call in CALLS {
            let (handle, body) = (shut_down(runtime()), Body::held());
            let call = call(Arc::clone(&body), "after");
            let caller = thread::spawn(move || handle.block_on(call));
            until("it computes", || body.begun() == 1);
            thread::sleep(Duration::from_millis(1_200));
            body.let_all_through();
            assert_eq!(caller.join().unwrap(), 1);
        }
    }
}

/// Computations that wait for each other (G3).
macro_rules! circles {
    ($($backend:tt)+) => {
        #[async_cached(ttl = 60, backend = $($backend)+, skip(left), detached)]
        async fn detached(left: Arc<AtomicUsize>, key: u8) -> usize {
            match left.fetch_sub(1, SeqCst) {
                1 => 0,
                _ => 1 + detached_again(left, 1 - key).await,
            }
        }

        fn detached_again(left: Arc<AtomicUsize>, key: u8) -> BoxFuture<'static, usize> {
            Box::pin(detached(left, key))
        }

        /// `f(0)` calls `f(1)`, and that calls `f(0)`.
        #[tokio::test]
        async fn detached_computations_of_one_circle() {
            let left = Arc::new(AtomicUsize::new(5));
            let answer = timeout(SOON / 3, detached(Arc::clone(&left), 0)).await;
            assert_eq!(answer.expect("they should not wait for each other"), 4);
            assert_eq!((detached(Arc::clone(&left), 0).await, left.load(SeqCst)), (4, 0), "stored");
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(left), stale_while_revalidate = 60)]
        async fn refreshed(left: Arc<AtomicUsize>, key: u8) -> usize {
            match left.fetch_sub(1, SeqCst) {
                1 => 0,
                _ => 1 + through_another(left, key).await,
            }
        }

        fn through_another(left: Arc<AtomicUsize>, key: u8) -> BoxFuture<'static, usize> {
            Box::pin(through(left, key))
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(left), refresh_ahead = 0.1)]
        async fn through(left: Arc<AtomicUsize>, key: u8) -> usize {
            refreshed(left, key).await
        }

        #[tokio::test]
        async fn computations_of_two_functions() {
            let left = Arc::new(AtomicUsize::new(5));
            let answer = timeout(SOON / 3, refreshed(Arc::clone(&left), 0)).await;
            assert_eq!(answer.expect("they should not wait for each other"), 4);
        }

        #[async_cached(ttl = 60, backend = $($backend)+, skip(both, left))]
        async fn crossed(both: Arc<Barrier>, left: Arc<AtomicUsize>, key: u8) -> usize {
            if left.fetch_sub(1, SeqCst) > 2 {
                both.wait().await;
                return 1 + Box::pin(crossed(both, left, 1 - key)).await;
            }
            0
        }

        /// Two tasks compute, then each calls the function that the other one computes.
        #[tokio::test]
        async fn computations_of_two_tasks() {
            let (both, left) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(4)));
            let calls = [0, 1].map(|key| tokio::spawn(crossed(Arc::clone(&both), Arc::clone(&left), key)));
            let mut answers = Vec::new();
            for call in calls {
                answers.push(timeout(SOON / 3, call).await.expect("they should not wait for each other").unwrap());
            }
            answers.sort_unstable();
            assert_eq!(answers, [1, 2]);
        }
    };
}

mod circles {
    use std::sync::Arc;

    use cached_runtime::BoxFuture;
    use tokio::sync::Barrier;
    use tokio::time::timeout;

    use super::*;
    use crate::support::{SOON, on_each_backend};

    on_each_backend!(circles);
}

/// Callers that wait for less than the body takes.
mod impatient {
    use tokio::time::{sleep, timeout};

    use super::*;

    static COMPUTED: AtomicUsize = AtomicUsize::new(0);

    #[async_cached(ttl = 60, detached)]
    async fn slow() -> usize {
        sleep(Duration::from_millis(200)).await;
        COMPUTED.fetch_add(1, SeqCst)
    }

    #[tokio::test]
    async fn impatient_callers_fill_the_cache() {
        let mut calls = 0;
        while timeout(Duration::from_millis(50), slow()).await.is_err() {
            calls += 1;
            sleep(Duration::from_millis(50)).await;
        }
        assert!(calls > 0);
        assert_eq!(COMPUTED.load(SeqCst), 1);
    }

    #[cfg(feature = "moved-clock")]
    mod bounded {
        use std::future::pending;

        use super::*;

        static BEGUN: AtomicUsize = AtomicUsize::new(0);

        #[async_cached(ttl = 60, detached)]
        async fn hang(_key: usize) -> usize {
            BEGUN.fetch_add(1, SeqCst);
            pending().await
        }

        /// 1 024 computations go on without callers, each for five minutes.
        #[tokio::test(start_paused = true)]
        async fn abandoned_computations_are_bounded() {
            cached_tests::in_own_process!();
            for key in 0..1_100 {
                timeout(Duration::from_millis(1), hang(key)).await.unwrap_err();
            }
            crate::support::settle().await;
            assert_eq!(hang::stats().abandoned, 1_024);
            sleep(Duration::from_secs(301)).await;
            let before = BEGUN.load(SeqCst);
            for key in 0..1_100 {
                timeout(Duration::from_millis(1), hang(key)).await.unwrap_err();
            }
            assert_eq!(BEGUN.load(SeqCst), before + 1_100, "all of them had ended");
            crate::support::settle().await;
            assert_eq!(hang::stats().abandoned, 2_048, "the places were free again");
        }
    }
}

/// Calls outside of a tokio runtime, where there are no timers of tokio.
mod without_a_runtime {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::{self, Thread};

    use super::*;

    static COMPUTED: AtomicUsize = AtomicUsize::new(0);

    #[async_cached(ttl = 60)]
    async fn load(key: u8) -> usize {
        let number = COMPUTED.fetch_add(1, SeqCst);
        poll_fn(|_| if key == 0 && number == 0 { Poll::Pending } else { Poll::Ready(()) }).await;
        number
    }

    #[async_cached(ttl = 60, timeout = "50ms")]
    async fn hang() -> Result<usize, cached_runtime::Error> {
        std::future::pending().await
    }

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let (mut future, waker) = (pin!(future), Waker::from(Arc::new(Unpark(thread::current()))));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn a_silent_leader_is_replaced() {
        let mut silent = pin!(load(0));
        assert!(silent.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(thread::scope(|scope| scope.spawn(|| block_on(load(0))).join().unwrap()), 1);
    }

    #[test]
    fn a_timeout_ends_the_function() {
        assert!(block_on(hang()).unwrap_err().is_timeout());
    }
}
