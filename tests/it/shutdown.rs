//! The end of a process: background refreshes, writes on their way and pending invalidations. The leases are in `leases`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseMode, RedisConfig, Result, Store, Watch, async_cached,
    configure, shutdown,
};
use cached_tests::in_own_process;
use cached_tests::map_store::MapStore;
use cached_tests::proxy::Proxy;
use cached_tests::server::RedisServer;
use tokio::sync::Semaphore;

use crate::support::{self, until};

mod refreshes {
    use super::*;

    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static STOPPED: AtomicBool = AtomicBool::new(false);

    /// Set when the computation is dropped.
    struct Stopped;

    impl Drop for Stopped {
        fn drop(&mut self) {
            STOPPED.store(true, SeqCst);
        }
    }

    #[async_cached(ttl = 600, stale_while_revalidate = 600)]
    async fn load(key: usize) -> usize {
        if BEGUN.fetch_add(1, SeqCst) > 1 {
            let _stopped = Stopped;
            std::future::pending::<()>().await;
        }
        key
    }

    /// A refresh that runs is stopped, and none begins any more; a stale value is still an answer.
    #[tokio::test]
    async fn are_stopped() {
        in_own_process!();
        for key in [1, 2] {
            load(key).await;
            load::expire(key).await.unwrap();
        }
        assert_eq!(load(1).await, 1);
        until("the refresh runs", || BEGUN.load(SeqCst) == 3).await;
        let report = shutdown(Duration::MAX).await;
        assert_eq!(report.refreshes_stopped, 1);
        until("it is stopped", || STOPPED.load(SeqCst)).await;
        assert_eq!(load(2).await, 2);
        tokio::task::yield_now().await;
        assert_eq!(BEGUN.load(SeqCst), 3);
        assert_eq!(shutdown(Duration::ZERO).await.refreshes_stopped, 0);
    }
}

mod invalidations {
    use super::*;

    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    static PROXY: LazyLock<Proxy> = LazyLock::new(|| Proxy::start(&format!("127.0.0.1:{}", SERVER.port())));

    #[async_cached(ttl = 600, backend = "redis", name = "shutdown.invalidations")]
    async fn load(key: usize) -> usize {
        key
    }

    /// What the store has not confirmed is sent again, and not after the pause of up to five seconds; what it does not
    /// confirm now is reported.
    #[tokio::test]
    async fn are_flushed() {
        in_own_process!();
        configure().redis(RedisConfig::new(format!("redis://{}", PROXY.addr()))).install().unwrap();
        for key in 0..3 {
            load(key).await;
        }
        let entries: usize = SERVER.command(&["DBSIZE"]).parse().unwrap();
        PROXY.refuse();
        PROXY.cut();
        for key in 0..3 {
            load::invalidate(key).await.unwrap_err();
        }
        let report = shutdown(Duration::from_millis(300)).await;
        assert_eq!((report.invalidations_flushed, report.invalidations_left), (0, 3));
        assert_eq!(SERVER.command(&["DBSIZE"]), entries.to_string());

        PROXY.accept();
        let report = shutdown(Duration::from_secs(30)).await;
        assert_eq!((report.invalidations_flushed, report.invalidations_left), (3, 0));
        assert_eq!(SERVER.command(&["DBSIZE"]), (entries - 3).to_string());
    }
}

mod leases {
    use super::*;

    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    static PROXY: LazyLock<Proxy> = LazyLock::new(|| Proxy::start(&format!("127.0.0.1:{}", SERVER.port())));
    static BEGUN: AtomicUsize = AtomicUsize::new(0);

    #[async_cached(ttl = 600, backend = "redis", name = "shutdown.leases")]
    async fn load(key: usize) -> usize {
        BEGUN.fetch_add(1, SeqCst);
        std::future::pending::<()>().await;
        key
    }

    #[async_cached(ttl = 600, backend = support::redis(), name = "shutdown.leases.elsewhere")]
    async fn load_elsewhere(key: usize) -> usize {
        BEGUN.fetch_add(1, SeqCst);
        std::future::pending::<()>().await;
        key
    }

    /// A store that fails for a part of the time gets them back; those that are left are reported each time.
    #[tokio::test]
    async fn are_given_back_until_the_deadline() {
        in_own_process!();
        // Each call gets its lease, however busy the machine is.
        let config = RedisConfig::new(format!("redis://{}", PROXY.addr())).deadline(Duration::from_secs(10));
        configure().redis(config).install().unwrap();
        let mut calls = tokio::task::JoinSet::new();
        (0..100).for_each(|key| drop(calls.spawn(load(key))));
        calls.spawn(load_elsewhere(0));
        until("all compute", || BEGUN.load(SeqCst) == 101).await;
        PROXY.refuse();
        PROXY.cut();
        // Those of a store that works do not wait for the others.
        for returned in [1, 0] {
            let report = shutdown(Duration::from_millis(500)).await;
            assert_eq!((report.leases_returned, report.leases_left), (returned, 100));
        }
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            PROXY.accept();
        };
        let (first, second, ()) =
            tokio::join!(shutdown(Duration::from_secs(30)), shutdown(Duration::from_secs(30)), later);
        assert_eq!(first.leases_returned + second.leases_returned, 100, "each is counted once");
        assert_eq!((first.leases_left, second.leases_left), (0, 0));
    }
}

mod writes {
    use super::*;

    static FILLING: AtomicUsize = AtomicUsize::new(0);
    static LET_THROUGH: Semaphore = Semaphore::const_new(0);

    /// A store whose fills wait.
    #[derive(Debug, Default)]
    struct Slow(MapStore);

    impl Store for Slow {
        fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
            self.0.get(keys)
        }

        fn acquire<'a>(
            &'a self,
            key: &'a Key,
            lease: Lease,
            term: Duration,
            mode: LeaseMode,
        ) -> BoxFuture<'a, Result<Acquired>> {
            self.0.acquire(key, lease, term, mode)
        }

        fn extend<'a>(
            &'a self,
            key: &'a Key,
            lease: &'a Lease,
            term: Duration,
        ) -> BoxFuture<'a, Result<bool>> {
            self.0.extend(key, lease, term)
        }

        fn fill<'a>(
            &'a self,
            key: &'a Key,
            lease: Lease,
            value: Bytes,
            ttl: Duration,
        ) -> BoxFuture<'a, Result<bool>> {
            Box::pin(async move {
                FILLING.fetch_add(1, SeqCst);
                let _ = LET_THROUGH.acquire().await;
                self.0.fill(key, lease, value, ttl).await
            })
        }

        fn release<'a>(
            &'a self,
            key: &'a Key,
            lease: Lease,
            attempt: LastAttempt,
        ) -> BoxFuture<'a, Result<()>> {
            self.0.release(key, lease, attempt)
        }

        fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
            self.0.put(key, value, ttl)
        }

        fn add<'a>(
            &'a self,
            key: &'a Key,
            value: Bytes,
            ttl: Option<Duration>,
        ) -> BoxFuture<'a, Result<Bytes>> {
            self.0.add(key, value, ttl)
        }

        fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
            self.0.remove(key)
        }

        fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
            self.0.watch(key)
        }

        fn time_limit(&self) -> Option<Duration> {
            None
        }
    }

    static STORE: LazyLock<Arc<Slow>> = LazyLock::new(Arc::default);

    #[async_cached(ttl = 600, backend = STORE.clone())]
    async fn load(key: usize) -> usize {
        key
    }

    /// A fill whose caller has left is waited for, within the deadline.
    #[tokio::test]
    async fn are_waited_for() {
        in_own_process!();
        let call = tokio::spawn(load(7));
        until("the fill was sent", || FILLING.load(SeqCst) == 1).await;
        call.abort();
        let report = shutdown(Duration::from_millis(50)).await;
        assert_eq!((report.writes_left, report.leases_left), (1, 0));

        let began = Instant::now();
        let (report, ()) = tokio::join!(shutdown(Duration::from_secs(60)), async {
            tokio::task::yield_now().await;
            LET_THROUGH.close();
        });
        assert_eq!(report.writes_left, 0);
        assert!(began.elapsed() < Duration::from_secs(30), "it does not wait for the deadline");
        assert_eq!(load::peek(7).await, Some(7));
    }
}

/// Values outside of their ranges are errors that name the range.
#[test]
fn limits_have_ranges() {
    in_own_process!();
    let error = configure()
        .background_refreshes(0)
        .background_timeout(Duration::ZERO)
        .abandoned_computations(100_000)
        .abandoned_timeout(Duration::from_secs(100_000))
        .retry_pause(Duration::ZERO)
        .install()
        .unwrap_err();
    let mistakes = std::error::Error::source(&error).unwrap().to_string();
    for limit in [
        "background refreshes must be from 1 to 65536",
        "timeout of background refreshes must be from 100 milliseconds to 1 hour",
        "abandoned computations must be at most 65536",
        "timeout of abandoned computations must be from 100 milliseconds to 24 hours",
        "pause between retries must be from 100 milliseconds to 5 minutes",
    ] {
        assert!(mistakes.contains(limit), "{limit:?} is not in {mistakes:?}");
    }
}
