//! Values with a tag in common end together, and what is being computed with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cached_runtime::{async_cached, invalidate_tag};
use tokio::time::timeout;

use crate::support::{Body, SOON, on_each_backend, settle};

/// A source that changes, read by functions with tags.
#[derive(Debug)]
struct Source {
    version: AtomicUsize,
    body: Arc<Body>,
}

impl Source {
    fn new(body: Arc<Body>) -> Arc<Self> {
        Arc::new(Self { version: AtomicUsize::new(1), body })
    }

    /// Reads first and takes its time after that.
    async fn read(&self) -> usize {
        let version = self.version.load(SeqCst);
        self.body.run().await;
        version
    }

    fn change(&self) {
        self.version.fetch_add(1, SeqCst);
    }
}

macro_rules! tests {
    ($($backend:tt)+) => {
        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), tags("{group}:{id}", format!("{group}s"), "all of these"))]
        async fn load(source: Arc<Source>, group: &str, id: u64) -> usize {
            assert!(!group.is_empty() && id < 1_000);
            source.read().await
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), tags("{group}s"))]
        async fn count(source: Arc<Source>, group: &str) -> Option<usize> {
            assert!(!group.is_empty());
            Some(source.read().await)
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), tags_from = |value: &(usize, String)| vec![value.1.clone()])]
        async fn of_value(source: Arc<Source>, tag: &'static str) -> (usize, String) {
            (source.read().await, tag.to_owned())
        }

        /// The name of a tag that no other backend has: tags of one name are one in all of them.
        fn own(name: &str) -> String {
            format!("{name} of {}", module_path!())
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_tag_ends_what_has_it_and_nothing_else() {
            let (source, group) = (Source::new(Body::open()), own("user"));
            for id in [1, 2] {
                assert_eq!(load(Arc::clone(&source), &group, id).await, 1);
            }
            assert_eq!(count(Arc::clone(&source), &group).await, Some(1));
            let hits = source.body.begun();
            source.change();

            invalidate_tag(format!("{group}:1")).await.unwrap();
            assert_eq!(load::peek(&group, 1).await, None);
            assert_eq!(load(Arc::clone(&source), &group, 1).await, 2, "it has ended");
            assert_eq!(load(Arc::clone(&source), &group, 2).await, 1, "another tag has not");
            assert_eq!(count(Arc::clone(&source), &group).await, Some(1), "nor one of another function");
            assert_eq!(source.body.begun(), hits + 1);

            source.change();
            invalidate_tag(format!("{group}s")).await.unwrap();
            for id in [1, 2] {
                assert_eq!(load(Arc::clone(&source), &group, id).await, 3, "an expression is a tag too");
            }
            assert_eq!(count(Arc::clone(&source), &group).await, Some(3), "of several functions");
            assert_eq!(load(Arc::clone(&source), &group, 1).await, 3, "and all of it is remembered again");
            assert_eq!(source.body.begun(), hits + 4);
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_tag_that_ends_during_a_computation_is_final() {
            for waiting in [0, 10] {
                let (source, group) = (Source::new(Body::held()), own(&format!("during {waiting}")));
                let call = |source: &Arc<Source>| {
                    let (source, group) = (Arc::clone(source), group.clone());
                    tokio::spawn(async move { load(source, &group, 1).await })
                };
                let before: Vec<_> = (0..=waiting).map(|_| call(&source)).collect();
                source.body.has_begun(1).await;
                settle().await;
                source.change();
                invalidate_tag(format!("{group}:1")).await.unwrap();
                // These find the old computation under way, and may not have what it brings.
                let after: Vec<_> = (0..10).map(|_| call(&source)).collect();
                settle().await;
                source.body.let_all_through();
                for call in before {
                    let answer = timeout(SOON, call).await.unwrap().unwrap();
                    assert!([1, 2].contains(&answer), "it may get either");
                }
                for call in after {
                    assert_eq!(timeout(SOON, call).await.unwrap().unwrap(), 2, "it began after the end of the tag");
                }
                assert_eq!(load::peek(&group, 1).await, Some(2), "and the old value is not stored");
            }
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_tag_that_the_value_tells_ends_it() {
            let source = Source::new(Body::open());
            let tag: &'static str = own("told").leak();
            assert_eq!(of_value(Arc::clone(&source), tag).await.0, 1);
            assert_eq!(of_value(Arc::clone(&source), tag).await.0, 1);
            assert_eq!(source.body.begun(), 1, "it is remembered");
            source.change();
            invalidate_tag(tag).await.unwrap();
            assert_eq!(of_value(Arc::clone(&source), tag).await.0, 2);
            assert_eq!(of_value::peek(tag).await, Some((2, tag.to_owned())));
            of_value::put(tag, (7, tag.to_owned())).await.unwrap();
            assert_eq!(of_value(Arc::clone(&source), tag).await.0, 7, "what is put has it too");
            invalidate_tag(tag).await.unwrap();
            assert_eq!(of_value::peek(tag).await, None);
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_tag_that_only_the_value_will_tell_may_end_before_that() {
            let source = Source::new(Body::held());
            let tag: &'static str = own("to be told").leak();
            let before = tokio::spawn(of_value(Arc::clone(&source), tag));
            source.body.has_begun(1).await;
            source.change();
            invalidate_tag(tag).await.unwrap();
            let after = tokio::spawn(of_value(Arc::clone(&source), tag));
            settle().await;
            source.body.let_all_through();
            assert_eq!(timeout(SOON, before).await.unwrap().unwrap().0, 1, "its own caller gets it");
            assert_eq!(timeout(SOON, after).await.unwrap().unwrap().0, 2);
            assert_eq!(of_value::peek(tag).await.map(|value| value.0), Some(2));
        }
    };
}

on_each_backend!(tests);

mod a_stamp_that_is_lost {
    use super::*;
    use crate::support::{REDIS, redis};

    #[async_cached(ttl = 600, backend = redis(), skip(source), tags("lost stamp"))]
    async fn lost(source: Arc<Source>) -> usize {
        source.read().await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn is_the_end_of_its_values() {
        let source = Source::new(Body::open());
        assert_eq!(lost(Arc::clone(&source)).await, 1);
        assert_eq!(lost(Arc::clone(&source)).await, 1);
        source.change();
        let stamps = REDIS.command(&["KEYS", "cached:{tags:*}"]);
        for stamp in stamps.lines() {
            let term: i64 = REDIS.command(&["TTL", stamp]).parse().unwrap();
            assert!(term > 0, "the stamp of a tag does not stay for ever");
            assert_eq!(REDIS.command(&["DEL", stamp]), "1");
        }
        assert!(stamps.lines().count() > 0);
        assert_eq!(lost(Arc::clone(&source)).await, 2);
    }
}

mod a_tier_in_memory {
    use super::*;

    #[async_cached(ttl = 600, skip(source), tags("in memory:{id}"))]
    async fn load(source: Arc<Source>, id: u64) -> usize {
        assert!(id < 1_000);
        source.read().await
    }

    #[tokio::test]
    async fn keeps_a_tag_as_long_as_a_value_has_it() {
        let source = Source::new(Body::open());
        for id in 0..500 {
            load(Arc::clone(&source), id).await;
        }
        load::clear().await.unwrap();
        source.change();
        assert_eq!(load(Arc::clone(&source), 7).await, 2);
        invalidate_tag("in memory:7").await.unwrap();
        assert_eq!(load::peek(7).await, None);
    }
}
