//! `lookup`: the source, the age and the key of a value.

use std::sync::Arc;
use std::time::Duration;

use cached_runtime::{Lookup, Source, async_cached};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::servers::{Server as _, eventually};
use crate::support::{Body, MEMCACHED, REDIS, settle};

const SECOND: Duration = Duration::from_secs(1);

macro_rules! tests {
    ($found:ident $($backend:tt)+) => {
        #[async_cached(ttl = 600, backend = $($backend)+, skip(body))]
        async fn load(body: Arc<Body>, key: &'static str) -> usize {
            assert!(!key.is_empty());
            body.run().await
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(body), stale_while_revalidate = "10m")]
        async fn kept(body: Arc<Body>, key: &'static str) -> usize {
            assert!(!key.is_empty());
            body.run().await
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(fails), stale_if_error = "10m")]
        async fn fallible(fails: bool) -> Result<usize, String> {
            if fails { Err("failed".into()) } else { Ok(1) }
        }

        #[tokio::test]
        async fn the_source_is_the_tier_of_the_value() {
            let body = Body::open();
            let call = async || load::lookup(Arc::clone(&body), "found").await;
            let first = call().await;
            assert_eq!((first.value, first.source, first.age), (1, Source::Computed, Duration::ZERO));
            let then = call().await;
            assert_eq!((then.value, then.source), (1, Source::$found));
            assert_eq!(then.key, first.key);
            assert_ne!(load::lookup(Arc::clone(&body), "other").await.key, first.key);
            load::invalidate("found").await.unwrap();
            assert_eq!(call().await.source, Source::Computed);
            assert_eq!(load(Arc::clone(&body), "found").await, 3, "the value of the lookup is cached");
        }

        #[tokio::test]
        async fn calls_that_join_a_computation_report_computed() {
            let body = Body::held();
            let mut calls = JoinSet::new();
            for _ in 0..50 {
                calls.spawn(load::lookup(Arc::clone(&body), "joined"));
            }
            body.has_begun(1).await;
            for _ in 0..10 {
                settle().await;
                let _ = load::peek("nothing").await;
            }
            body.let_all_through();
            for Lookup { value, source, .. } in calls.join_all().await {
                assert_eq!((value, source), (1, Source::Computed));
            }
        }

        #[tokio::test]
        async fn a_stale_value_is_reported() {
            let body = Body::held();
            kept::put("stale", 7).await.unwrap();
            assert_eq!(kept::lookup(Arc::clone(&body), "stale").await.source, Source::$found);
            kept::expire("stale").await.unwrap();
            let stale = kept::lookup(Arc::clone(&body), "stale").await;
            assert_eq!((stale.value, stale.source), (7, Source::Stale));
            assert!(stale.age < 300 * SECOND, "it was put just now: {:?}", stale.age);
            body.let_all_through();
            eventually("the next value", async || kept::peek("stale").await == Some(1)).await;
            let next = kept::lookup(Arc::clone(&body), "stale").await;
            assert_eq!((next.value, next.source), (1, Source::$found));
            assert_eq!(kept(Arc::clone(&body), "stale").await, 1);

            fallible(false).await.unwrap();
            fallible::expire().await.unwrap();
            let instead = fallible::lookup(true).await;
            assert_eq!((instead.value, instead.source), (Ok(1), Source::Stale));
            assert!(instead.age < 300 * SECOND, "{:?}", instead.age);
            fallible::expire().await.unwrap(); // So that the next call computes.
            assert_eq!(fallible::lookup(false).await.source, Source::Computed);
        }

        #[tokio::test]
        async fn a_value_gets_older() {
            let body = Body::open();
            load::put("older", 7).await.unwrap();
            let first = load::lookup(Arc::clone(&body), "older").await.age;
            sleep(Duration::from_millis(20)).await;
            let then = load::lookup(Arc::clone(&body), "older").await.age;
            assert!(then >= first + Duration::from_millis(10), "{first:?} and then {then:?}");
        }

        #[derive(Clone)]
        pub(super) struct Repo(usize);

        impl Repo {
            #[async_cached(ttl = 600, backend = $($backend)+, key = (self.0, id), stale_if_error = "10m")]
            pub(super) async fn find(&self, id: usize) -> Result<usize, String> {
                if id == 0 { Err("no such thing".into()) } else { Ok(self.0 + id) }
            }
        }

        #[tokio::test]
        async fn methods_have_lookups() {
            let repo = Repo(1);
            assert_eq!(repo.find_lookup(2).await.source, Source::Computed);
            assert_eq!(repo.find(2).await, Ok(3));
            let found = repo.find_lookup(2).await;
            assert_eq!((found.value, found.source), (Ok(3), Source::$found));
            assert!(found.key.contains("find"), "{}", found.key);
            Repo::find_cache().put((&repo, 0), 9).await.unwrap();
            Repo::find_cache().expire((&repo, 0)).await.unwrap();
            let stale = repo.find_lookup(0).await;
            assert_eq!((stale.value, stale.source), (Ok(9), Source::Stale));
            Repo::find_cache().expire((&repo, 2)).await.unwrap();
            assert_eq!(repo.find_lookup(2).await.source, Source::Computed);
        }
    };
}

mod memory {
    use super::*;
    tests!(Memory "memory");

    #[tokio::test]
    async fn the_key_names_the_function() {
        let found = load::lookup(Body::open(), "named").await;
        assert!(found.key.starts_with("it::lookup::memory::load"), "{}", found.key);
    }

    #[cfg(feature = "moved-clock")]
    mod paused {
        use tokio::time::advance;

        use super::*;
        use crate::support::settle;

        #[tokio::test(start_paused = true)]
        async fn the_age_is_exact() {
            let body = Body::open();
            for age in [0, 1, 100, 599] {
                load::put("exact", 7).await.unwrap();
                advance(age * SECOND).await;
                let found = load::lookup(Arc::clone(&body), "exact").await.age;
                assert!(found.abs_diff(age * SECOND) < Duration::from_millis(1), "{found:?} after {age} s");
            }
            kept::put("exact", 7).await.unwrap();
            advance(100 * SECOND).await;
            kept::expire("exact").await.unwrap();
            advance(5 * SECOND).await;
            let found = kept::lookup(Body::held(), "exact").await.age;
            assert!(found.abs_diff(105 * SECOND) < Duration::from_millis(1), "{found:?}");
        }

        #[tokio::test(start_paused = true)]
        async fn a_value_that_never_ends_has_an_age() {
            #[async_cached(ttl = Duration::MAX)]
            async fn endless() -> u8 {
                1
            }

            endless().await;
            advance(10 * SECOND).await;
            let age = endless::lookup().await.age;
            assert!(age < 3_600 * SECOND, "{age:?}");
        }

        /// The result of a background refresh is fresh, although the refresh began for a stale value.
        #[tokio::test(start_paused = true)]
        async fn a_call_that_joins_a_background_refresh_reports_computed() {
            #[async_cached(ttl = 10, stale_while_revalidate = "5s", skip(body))]
            async fn refreshed(body: Arc<Body>) -> usize {
                body.run().await
            }

            let body = Body::held();
            refreshed::put(7).await.unwrap();
            advance(12 * SECOND).await;
            assert_eq!(refreshed(Arc::clone(&body)).await, 7);
            body.has_begun(1).await;
            advance(4 * SECOND).await;
            let call = tokio::spawn(refreshed::lookup(Arc::clone(&body)));
            settle().await;
            body.let_all_through();
            let found = call.await.unwrap();
            assert_eq!((found.value, found.source, found.age), (1, Source::Computed, Duration::ZERO));
            assert_eq!(body.begun(), 1);
        }
    }
}
mod redis {
    use super::*;
    tests!(Shared crate::support::redis());

    #[tokio::test]
    async fn the_key_is_the_key_on_the_server() {
        let key = load::lookup(Body::open(), "on the server").await.key;
        assert_eq!(REDIS.command(&["EXISTS", &key]), "1", "{key}");
        assert_eq!(load::key("on the server").unwrap(), key);
        assert_eq!(REDIS.command(&["DEL", &key]), "1", "{key}");
        assert_eq!(load::peek("on the server").await, None);
    }
}
mod memcached {
    use super::*;
    tests!(Shared crate::support::memcached());

    #[tokio::test]
    async fn the_key_is_the_key_on_the_server() {
        // With a server of its own: among the items of other tests this one may be evicted before it is listed.
        cached_tests::in_own_process!();
        let key = load::lookup(Body::open(), "on the server").await.key;
        // Memcached lists items with a delay.
        let listed = key.strip_prefix("cached:").unwrap().to_owned();
        eventually("the server lists it", async || MEMCACHED.keys().contains(&listed)).await;
        assert_eq!(load::key("on the server").unwrap(), key);
        assert_eq!(MEMCACHED.command(&format!("delete {key}")), "DELETED");
        assert_eq!(load::peek("on the server").await, None);
    }
}
