//! Invalidation is final: no later call returns a value that was computed from older data (G5).

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{
    Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch, async_cached,
};
use cached_tests::EPOCH_KEY_OF_TAGS;
use cached_tests::map_store::MapStore;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::servers::eventually;
use crate::support::{Body, REDIS, SOON, Source, on_each_backend, poll_once, settle, until};

macro_rules! tests {
    ($($backend:tt)+) => {
        #[async_cached(ttl = 600, backend = $($backend)+, skip(source))]
        async fn load(source: Arc<Source>, key: &'static str) -> usize {
            assert!(!key.is_empty());
            source.read().await
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), cache_if = |value: &usize| *value != 0)]
        async fn picky(source: Arc<Source>, key: &'static str) -> Option<usize> {
            assert!(!key.is_empty());
            Some(source.read().await)
        }

        /// Changes the source while the old value is computed, calls `change`, and checks later reads.
        async fn is_final(key: &'static str, change: impl AsyncFn() -> cached_runtime::Result<()>, then: usize) {
            // With and without calls that wait for the one that computes.
            for waiting in [0, 10] {
                load::invalidate(key).await.unwrap();
                let source = Source::new(Body::held());
                let calls: Vec<_> =
                    (0..=waiting).map(|_| tokio::spawn(load(Arc::clone(&source), key))).collect();
                source.body.has_begun(1).await;
                settle().await;
                source.change();
                change().await.unwrap();

                let open = Source::new(Body::open());
                open.change();
                let answer = timeout(SOON, load(Arc::clone(&open), key)).await.unwrap();
                assert_eq!(answer, then, "a call that starts after {key}");
                source.body.let_all_through();
                for call in calls {
                    // Calls that began before the change may return the old or the new value.
                    assert!([1, 2, then].contains(&timeout(SOON, call).await.unwrap().unwrap()));
                }
                assert_eq!(load(Arc::clone(&open), key).await, then, "a call that starts after {key} and the old one");
                assert_eq!(load::peek(key).await, Some(then));
                // A value that was not put has to be computed.
                assert_eq!(open.body.begun(), usize::from(then == 2));
            }
        }

        #[tokio::test]
        async fn invalidating_while_the_old_value_is_computed_is_final() {
            is_final("invalidate", async || load::invalidate("invalidate").await, 2).await;
        }

        #[tokio::test]
        async fn putting_while_the_old_value_is_computed_is_final() {
            is_final("put", async || load::put("put", 7).await, 7).await;
        }

        #[tokio::test]
        async fn refreshing_while_the_old_value_is_computed_is_final() {
            let refresh = async || {
                let source = Source::new(Body::open());
                source.version.store(9, SeqCst);
                assert_eq!(load::refresh(source, "refresh").await, 9);
                Ok(())
            };
            is_final("refresh", refresh, 9).await;
        }

        #[tokio::test]
        async fn a_put_value_is_a_hit() {
            let source = Source::new(Body::open());
            load::put("given", 5).await.unwrap();
            assert_eq!(load(Arc::clone(&source), "given").await, 5);
            assert_eq!(load::peek("given").await, Some(5));
            picky::put("given", 5).await.unwrap();
            assert_eq!(picky(Arc::clone(&source), "given").await, Some(5));
            assert_eq!(source.body.begun(), 0);
        }

        #[tokio::test]
        async fn putting_an_uncacheable_value_removes_the_old_one() {
            let source = Source::new(Body::open());
            for uncacheable in [None, Some(0)] {
                picky::put("uncacheable", 5).await.unwrap();
                assert_eq!(picky::peek("uncacheable").await, Some(Some(5)));
                picky::put("uncacheable", uncacheable).await.unwrap();
                assert_eq!(picky::peek("uncacheable").await, None, "{uncacheable:?}");
            }
            assert_eq!(source.body.begun(), 0);
        }

        /// A web framework drops a handler when its client disconnects.
        #[tokio::test]
        async fn a_dropped_invalidation_is_completed() {
            let source = Source::new(Body::open());
            assert_eq!(load(Arc::clone(&source), "dropped").await, 1);
            let mut invalidation = Box::pin(load::invalidate("dropped"));
            let _ = poll_once(&mut invalidation).await;
            drop(invalidation);
            eventually("it is gone", async || load::peek("dropped").await.is_none()).await;
        }

        #[tokio::test]
        async fn refreshing_replaces_and_peeking_computes_nothing() {
            let source = Source::new(Body::open());
            assert_eq!(load::peek("refreshed").await, None);
            assert_eq!(load(Arc::clone(&source), "refreshed").await, 1);
            source.change();
            assert_eq!(load(Arc::clone(&source), "refreshed").await, 1, "a hit");
            assert_eq!(load::refresh(Arc::clone(&source), "refreshed").await, 2);
            assert_eq!(load::peek("refreshed").await, Some(2));
            assert_eq!(load(Arc::clone(&source), "refreshed").await, 2);
            assert_eq!(source.body.begun(), 2);
        }

        #[tokio::test]
        async fn calls_that_began_before_an_invalidation_are_all_answered() {
            let source = Source::new(Body::held());
            let calls: Vec<_> =
                (0..100).map(|_| tokio::spawn(load(Arc::clone(&source), "answered"))).collect();
            source.body.has_begun(1).await;
            settle().await;
            load::invalidate("answered").await.unwrap();
            source.body.let_all_through();
            for call in calls {
                assert_eq!(timeout(SOON, call).await.unwrap().unwrap(), 1);
            }
        }

        /// Its values have derived tags, its errors have none.
        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), tags_from = |_: &usize| vec![TAG.to_owned()])]
        async fn failing(source: Arc<Source>, key: u8) -> std::result::Result<usize, usize> {
            assert_eq!(key, 0);
            let version = source.read().await;
            if version < 3 { Err(version) } else { Ok(version) }
        }

        const TAG: &str = concat!(module_path!(), " a tag");

        #[tokio::test]
        async fn no_later_caller_gets_an_error_older_than_an_invalidation_of_a_tag() {
            let source = Source::new(Body::held());
            let first = tokio::spawn(failing(Arc::clone(&source), 0));
            source.body.has_begun(1).await;
            source.change();
            cached_runtime::invalidate_tag(TAG).await.unwrap();
            let later = tokio::spawn(failing(Arc::clone(&source), 0));
            // The later call may wait for the first or compute.
            tokio::time::sleep(Duration::from_millis(50)).await;
            source.body.let_all_through();
            assert_eq!(timeout(SOON, first).await.unwrap().unwrap(), Err(1));
            assert_eq!(timeout(SOON, later).await.unwrap().unwrap(), Err(2));
        }

        mod clear {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(source))]
            async fn cleared(source: Arc<Source>, key: usize) -> usize {
                assert!(key < 100);
                source.read().await
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(source))]
            async fn other(source: Arc<Source>, key: usize) -> usize {
                assert!(key < 100);
                source.read().await
            }

            #[async_cached(ttl = 600, backend = $($backend)+, skip(source))]
            async fn in_flight(source: Arc<Source>, key: usize) -> usize {
                assert!(key < 100);
                source.read().await
            }

            #[tokio::test]
            async fn invalidates_every_value_of_this_function_only() {
                let source = Source::new(Body::open());
                for key in 0..100 {
                    assert_eq!(cleared(Arc::clone(&source), key).await, 1);
                    assert_eq!(other(Arc::clone(&source), key).await, 1);
                }
                source.change();
                cleared::clear().await.unwrap();
                for key in 0..100 {
                    assert_eq!(cleared::peek(key).await, None);
                    assert_eq!(cleared(Arc::clone(&source), key).await, 2);
                    assert_eq!(other(Arc::clone(&source), key).await, 1);
                }
                assert_eq!(source.body.begun(), 300);
            }

            #[tokio::test]
            async fn is_final_for_computations_in_flight() {
                let source = Source::new(Body::held());
                let calls: Vec<_> =
                    (0..20).map(|key| tokio::spawn(in_flight(Arc::clone(&source), key))).collect();
                source.body.has_begun(20).await;
                source.change();
                in_flight::clear().await.unwrap();
                source.body.let_all_through();
                for call in calls {
                    let answer = timeout(SOON, call).await.unwrap().unwrap();
                    assert!([1, 2].contains(&answer));
                }
                for key in 0..20 {
                    assert_eq!(in_flight(Arc::clone(&source), key).await, 2);
                }
            }
        }
    };
}

on_each_backend!(tests);

#[async_cached(
    ttl = 600,
    backend = crate::support::redis(),
    skip(source),
    tags_from = |_: &usize| vec!["a tag of two processes".to_owned()]
)]
async fn failing_in_redis(source: Arc<Source>, key: u8) -> std::result::Result<usize, usize> {
    assert_eq!(key, 0);
    Err(source.read().await)
}

#[tokio::test]
async fn no_later_caller_gets_an_error_older_than_an_invalidation_by_another_process() {
    let source = Source::new(Body::held());
    let first = tokio::spawn(failing_in_redis(Arc::clone(&source), 0));
    source.body.has_begun(1).await;
    source.change();
    // As another process does when it invalidates a tag.
    let epoch = format!("cached:{{{EPOCH_KEY_OF_TAGS}}}");
    assert_eq!(REDIS.command(&["SET", &epoch, "8 bytes!", "XX"]), "OK");
    let later = tokio::spawn(failing_in_redis(Arc::clone(&source), 0));
    tokio::time::sleep(Duration::from_millis(50)).await;
    source.body.let_all_through();
    assert_eq!(timeout(SOON, first).await.unwrap().unwrap(), Err(1));
    assert_eq!(timeout(SOON, later).await.unwrap().unwrap(), Err(2));
}

/// To a store, two functions with one name are like one function in two processes.
macro_rules! two_processes {
    ($($backend:tt)+) => {
        mod here {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(source), name = "invalidation.shared")]
            pub(super) async fn load(source: Arc<Source>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                source.read().await
            }
        }
        mod there {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(source), name = "invalidation.shared")]
            pub(super) async fn load(source: Arc<Source>, key: &'static str) -> usize {
                assert!(!key.is_empty());
                source.read().await
            }
        }

        #[tokio::test]
        async fn a_value_computed_by_one_process_is_a_hit_in_the_other() {
            let source = Source::new(Body::open());
            assert_eq!(here::load(Arc::clone(&source), "hit").await, 1);
            assert_eq!(there::load(Arc::clone(&source), "hit").await, 1);
            assert_eq!(source.body.begun(), 1);
        }

        #[tokio::test]
        async fn invalidating_in_one_process_is_final_for_a_computation_in_the_other() {
            let (old, new) = (Source::new(Body::held()), Source::new(Body::open()));
            let computing = tokio::spawn(there::load(Arc::clone(&old), "elsewhere"));
            old.body.has_begun(1).await;
            new.change();
            here::load::invalidate("elsewhere").await.unwrap();
            let after = timeout(SOON, there::load(Arc::clone(&new), "elsewhere"));
            old.body.let_all_through();
            assert_eq!(after.await.unwrap(), 2, "a call in the process that computes");
            computing.await.unwrap();
            assert_eq!(here::load(Arc::clone(&new), "elsewhere").await, 2);
        }

        #[tokio::test]
        async fn invalidating_is_final_for_a_refresh_in_another_process() {
            let (old, new) = (Source::new(Body::held()), Source::new(Body::open()));
            // The refresh does not get the lease, because a call in the other process holds it.
            let computing = tokio::spawn(here::load(Arc::clone(&old), "refresh"));
            old.body.has_begun(1).await;
            let refreshing = tokio::spawn(there::load::refresh(Arc::clone(&old), "refresh"));
            old.body.has_begun(2).await;
            new.change();
            here::load::invalidate("refresh").await.unwrap();
            old.body.let_all_through();
            assert_eq!(timeout(SOON, refreshing).await.unwrap().unwrap(), 1);
            timeout(SOON, computing).await.unwrap().unwrap();
            assert_eq!(here::load(Arc::clone(&new), "refresh").await, 2);
        }

        #[tokio::test]
        async fn a_refresh_replaces_what_another_process_is_computing() {
            let (old, new) = (Source::new(Body::held()), Source::new(Body::open()));
            let computing = tokio::spawn(here::load(Arc::clone(&old), "overridden"));
            old.body.has_begun(1).await;
            new.change();
            assert_eq!(timeout(SOON, there::load::refresh(Arc::clone(&new), "overridden")).await.unwrap(), 2);
            old.body.let_all_through();
            timeout(SOON, computing).await.unwrap().unwrap();
            assert_eq!(here::load(Arc::clone(&new), "overridden").await, 2);
            assert_eq!(new.body.begun(), 1);
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

/// A store that has read a value but holds the reply until the test lets it through.
#[derive(Debug)]
struct SlowReads {
    map: MapStore,
    begun: AtomicUsize,
    gate: Semaphore,
}

static SLOW: LazyLock<SlowReads> = LazyLock::new(|| SlowReads {
    map: MapStore::default(),
    begun: AtomicUsize::new(0),
    gate: Semaphore::new(0),
});

impl Store for SlowReads {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        Box::pin(async {
            let found = self.map.get(keys).await;
            self.begun.fetch_add(1, SeqCst);
            self.gate.acquire().await.unwrap().forget();
            found
        })
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        self.map.acquire(key, lease, term, mode)
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.map.extend(key, lease, term)
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        self.map.fill(key, lease, value, ttl)
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        self.map.release(key, lease, attempt)
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        self.map.put(key, value, ttl)
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.map.add(key, value, ttl)
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.map.remove(key)
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.map.watch(key)
    }
}

#[tokio::test]
async fn a_call_does_not_join_a_read_that_began_before_a_put() {
    #[async_cached(ttl = 600, backend = &*SLOW)]
    async fn load() -> usize {
        0
    }

    load::put(1).await.unwrap();
    let before: Vec<_> = (0..10).map(|_| tokio::spawn(load())).collect();
    until("the first reads are in flight", || SLOW.begun.load(SeqCst) > 0).await;
    settle().await;
    load::put(2).await.unwrap();
    let after: Vec<_> = (0..10).map(|_| tokio::spawn(load())).collect();
    settle().await;
    SLOW.gate.add_permits(100);
    for call in before {
        assert_eq!(call.await.unwrap(), 1);
    }
    for call in after {
        assert_eq!(call.await.unwrap(), 2);
    }
    let reads = SLOW.begun.load(SeqCst);
    assert!(reads <= 4, "concurrent calls share reads, except the first two: {reads}");
}
