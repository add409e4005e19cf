//! After a refresh that succeeded, the old value is never returned: the new value is stored, or none.

use std::sync::{Arc, LazyLock};

use cached_runtime::{async_cached, invalidate_tag};
use cached_tests::full::Full;
use cached_tests::in_own_process;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{Body, SOON, Source, on_each_backend, settle, until};

/// A refresh beside another change of its key.
macro_rules! concurrent_refreshes {
    () => {
        /// Caches version 1 of the source of a key, and begins a refresh that reads version 2.
        async fn begin(key: &'static str) -> (Arc<Source>, JoinHandle<Result<usize, String>>) {
            let source = Source::new(Body::held());
            source.body.let_one_through();
            assert_eq!(load(Arc::clone(&source), false, key).await, Ok(1));
            source.change();
            let refresh = tokio::spawn(load::refresh(Arc::clone(&source), false, key));
            source.body.has_begun(2).await;
            (source, refresh)
        }

        /// Lets a refresh end, and then calls.
        async fn end(source: Arc<Source>, refresh: JoinHandle<Result<usize, String>>, key: &'static str) {
            source.body.let_all_through();
            assert_eq!(refresh.await.unwrap(), Ok(2));
            assert_eq!(load(source, false, key).await, Ok(2), "{key}");
        }

        #[tokio::test]
        async fn a_refresh_is_final_beside_a_later_one_without_a_value() {
            let (source, first) = begin("the later one fails before").await;
            assert!(
                load::refresh(Source::new(Body::open()), true, "the later one fails before").await.is_err()
            );
            end(source, first, "the later one fails before").await;

            let (source, first) = begin("the later one fails after").await;
            let failing = Source::new(Body::held());
            let last = tokio::spawn(load::refresh(Arc::clone(&failing), true, "the later one fails after"));
            failing.body.has_begun(1).await;
            source.body.let_all_through();
            assert_eq!(first.await.unwrap(), Ok(2));
            assert_ne!(load::peek("the later one fails after").await, Some(Ok(1)));
            failing.body.let_all_through();
            assert!(last.await.unwrap().is_err());
            assert_eq!(load(source, false, "the later one fails after").await, Ok(2));

            let (source, first) = begin("the later one is dropped").await;
            let dropped = Source::new(Body::held());
            let last = tokio::spawn(load::refresh(Arc::clone(&dropped), true, "the later one is dropped"));
            dropped.body.has_begun(1).await;
            last.abort();
            assert!(last.await.unwrap_err().is_cancelled());
            // Such a function goes on without its caller.
            dropped.body.let_all_through();
            end(source, first, "the later one is dropped").await;
        }

        #[tokio::test]
        async fn many_refreshes_leave_nothing_older_than_any_of_their_values() {
            let (source, first) = begin("many").await;
            let mut refreshes = vec![first];
            for begun in 1..=8 {
                source.change();
                refreshes.push(tokio::spawn(load::refresh(Arc::clone(&source), false, "many")));
                source.body.has_begun(2 + begun).await;
            }
            source.body.let_all_through();
            for (version, refresh) in (2..).zip(refreshes) {
                assert_eq!(refresh.await.unwrap(), Ok(version));
            }
            assert!(
                matches!(load::peek("many").await, None | Some(Ok(10))),
                "{:?}",
                load::peek("many").await
            );
            assert_eq!(load(source, false, "many").await, Ok(10));
        }

        /// It is not known whether that is newer than its own value.
        #[tokio::test]
        async fn a_refresh_removes_what_was_stored_since_it_began() {
            let (source, refresh) = begin("put").await;
            load::put("put", Ok(7)).await.unwrap();
            assert_eq!(load::peek("put").await, Some(Ok(7)));
            end(source, refresh, "put").await;

            let (source, refresh) = begin("refreshed").await;
            let other = Source::new(Body::open());
            assert_eq!(load::refresh(other, false, "refreshed").await, Ok(1));
            end(source, refresh, "refreshed").await;
        }

        /// The body of the refresh may have read what the other one has missed.
        #[tokio::test]
        async fn a_computation_that_began_during_a_refresh_does_not_replace_its_value() {
            let (source, refresh) = begin("computed").await;
            load::invalidate("computed").await.unwrap();
            let older = Source::new(Body::held());
            let call = tokio::spawn(load(Arc::clone(&older), false, "computed"));
            older.body.has_begun(1).await;
            source.body.let_all_through();
            assert_eq!(refresh.await.unwrap(), Ok(2));
            let later = tokio::spawn(load(Arc::clone(&source), false, "computed"));
            settle().await;
            older.body.let_all_through();
            assert_eq!(call.await.unwrap(), Ok(1));
            assert_eq!(later.await.unwrap(), Ok(2));
            assert_eq!(load(source, false, "computed").await, Ok(2));
        }

        #[tokio::test]
        async fn a_refresh_that_was_outdated_leaves_no_old_value() {
            let (source, refresh) = begin("expired").await;
            load::expire("expired").await.unwrap();
            end(source, refresh, "expired").await;

            let (source, refresh) = begin("invalidated").await;
            load::invalidate("invalidated").await.unwrap();
            end(source, refresh, "invalidated").await;
        }
    };
}

macro_rules! tests {
    ($($backend:tt)+) => {
        #[tokio::test]
        async fn a_refreshed_value_whose_tag_was_invalidated_removes_the_old_value() {
            #[async_cached(
                ttl = 600, backend = $($backend)+, skip(source),
                tags_from = |version: &usize| vec![format!("{} {version}", module_path!())]
            )]
            async fn load(source: Arc<Source>) -> usize {
                source.read().await
            }

            let source = Source::new(Body::held());
            source.body.let_one_through();
            assert_eq!(load(Arc::clone(&source)).await, 1);
            source.change();
            let refresh = tokio::spawn(load::refresh(Arc::clone(&source)));
            source.body.has_begun(2).await;
            invalidate_tag(format!("{} 2", module_path!())).await.unwrap();
            source.body.let_all_through();
            assert_eq!(refresh.await.unwrap(), 2);
            assert_eq!(load(Arc::clone(&source)).await, 2);
        }

        #[tokio::test]
        async fn a_failed_refresh_keeps_the_value_also_with_cache_err() {
            #[async_cached(ttl = 600, backend = $($backend)+, skip(fails), cache_err = "10m")]
            async fn load(fails: bool) -> Result<usize, String> {
                if fails { Err("down".into()) } else { Ok(1) }
            }

            assert_eq!(load(false).await, Ok(1));
            assert!(load::refresh(true).await.is_err());
            assert_eq!(load(true).await, Ok(1));
        }

        #[tokio::test]
        async fn a_refresh_is_final_without_single_flight() {
            #[async_cached(ttl = 600, backend = $($backend)+, skip(source), single_flight = "off")]
            async fn load(source: Arc<Source>) -> usize {
                source.read().await
            }

            let (old, new) = (Source::new(Body::held()), Source::new(Body::open()));
            let before = tokio::spawn(load(Arc::clone(&old)));
            old.body.has_begun(1).await;
            new.change();
            assert_eq!(load::refresh(Arc::clone(&new)).await, 2);
            old.body.let_all_through();
            assert_eq!(before.await.unwrap(), 1, "it began before the refresh");
            assert_eq!(load(Arc::clone(&new)).await, 2);
        }

        mod by_default {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+, skip(source, fails), stale_while_revalidate = "10m")]
            pub(super) async fn load(source: Arc<Source>, fails: bool, key: &'static str) -> Result<usize, String> {
                let version = source.read().await;
                if fails { Err(format!("{key} fails")) } else { Ok(version) }
            }

            concurrent_refreshes!();
        }

        mod without_single_flight {
            use super::*;

            #[async_cached(
                ttl = 600, backend = $($backend)+, skip(source, fails), stale_while_revalidate = "10m", single_flight = "off"
            )]
            pub(super) async fn load(source: Arc<Source>, fails: bool, key: &'static str) -> Result<usize, String> {
                let version = source.read().await;
                if fails { Err(format!("{key} fails")) } else { Ok(version) }
            }

            concurrent_refreshes!();

            #[tokio::test]
            async fn changes_of_other_keys_do_not_reject_a_result() {
                let source = Source::new(Body::held());
                let call = tokio::spawn(load(Arc::clone(&source), false, "one"));
                source.body.has_begun(1).await;
                for other in ["a", "b", "c", "d", "e", "f", "g", "h"].repeat(10) {
                    load::invalidate(other).await.unwrap();
                }
                source.body.let_all_through();
                assert_eq!(call.await.unwrap(), Ok(1));
                assert_eq!(load::peek("one").await, Some(Ok(1)));
            }
        }
    };
}

on_each_backend!(tests);

static FULL: LazyLock<Full> = LazyLock::new(Full::default);

#[async_cached(ttl = 600, backend = &*FULL, skip(source))]
async fn in_a_full_store(source: Arc<Source>, key: &'static str) -> usize {
    assert!(!key.is_empty());
    source.read().await
}

#[tokio::test]
async fn a_refresh_that_cannot_store_its_value_removes_the_old_one() {
    let source = Source::new(Body::held());
    for (key, full_before) in [("at the end", false), ("all the time", true)] {
        source.body.let_one_through();
        let old = in_a_full_store(Arc::clone(&source), key).await;
        source.change();
        if full_before {
            FULL.fill_up();
        }
        let begun = source.body.begun();
        let refresh = tokio::spawn(in_a_full_store::refresh(Arc::clone(&source), key));
        source.body.has_begun(begun + 1).await;
        FULL.fill_up();
        source.body.let_one_through();
        assert_eq!(refresh.await.unwrap(), old + 1);
        assert_eq!(in_a_full_store::peek(key).await, None, "{key}");
        FULL.make_room();
    }
}

/// Repeated invalidations, while callers wait.
mod repeated_invalidations {
    use super::*;

    mod here {
        use super::*;

        #[async_cached(ttl = 600, backend = crate::support::redis(), skip(body), name = "refresh.repeated")]
        pub(super) async fn load(body: Arc<Body>) -> usize {
            body.run().await
        }
    }
    mod there {
        #[cached_runtime::async_cached(ttl = 600, backend = crate::support::redis(), name = "refresh.repeated")]
        pub(super) async fn load() -> usize {
            0
        }
    }

    #[tokio::test]
    async fn few_waiters_compute_when_another_process_invalidates() {
        let body = Body::held();
        let calls: Vec<_> = (0..100).map(|_| tokio::spawn(here::load(Arc::clone(&body)))).collect();
        for times in 1..=5 {
            body.has_begun(times).await;
            settle().await;
            there::load::invalidate().await.unwrap();
            body.let_one_through();
            if times == 1 {
                // The callers of the first computation have their result; the others compute again.
                until("the first has ended", || body.running() == 0).await;
            }
            if calls.iter().all(JoinHandle::is_finished) {
                break;
            }
            settle().await;
            if body.begun() == times {
                break;
            }
        }
        body.let_all_through();
        for call in calls {
            timeout(SOON, call).await.unwrap().unwrap();
        }
        assert!(body.begun() <= 3, "{} computations for 100 calls", body.begun());
    }

    /// In a process of its own, because the invalidation of any tag makes waiters compute again.
    #[tokio::test]
    async fn few_waiters_compute_when_failures_overlap_invalidations_of_other_tags() {
        #[async_cached(
            ttl = 600, backend = crate::support::redis(), skip(body),
            tags_from = |number: &usize| vec![number.to_string()]
        )]
        async fn fails(body: Arc<Body>) -> Result<usize, usize> {
            Err(body.run().await)
        }

        in_own_process!();
        let body = Body::held();
        let calls: Vec<_> = (0..100).map(|_| tokio::spawn(fails(Arc::clone(&body)))).collect();
        for times in 1..=3 {
            if calls.iter().all(JoinHandle::is_finished) {
                break;
            }
            body.has_begun(times).await;
            settle().await;
            invalidate_tag("another tag").await.unwrap();
            body.let_one_through();
            until("the run has ended", || body.running() == 0).await;
            for _ in 0..10 {
                settle().await;
                let _ = fails::peek().await;
            }
        }
        body.let_all_through();
        for call in calls {
            assert!(timeout(SOON, call).await.unwrap().unwrap().is_err());
        }
        assert!(body.begun() <= 3, "{} computations for 100 calls", body.begun());
    }
}
