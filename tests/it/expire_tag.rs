//! `expire_tag`: the values with a tag become stale instead of being removed.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex};

use cached_runtime::{Source, async_cached, expire_tag, invalidate_tag};
use cached_tests::in_own_process;
use tokio::task::yield_now;

use crate::support::on_each_backend;

/// The ids for which the functions fail, by backend.
static FAILING: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

fn set_failing(id: &str, fails: bool) {
    let mut failing = FAILING.lock().unwrap();
    let _ = if fails { failing.insert(id.to_owned()) } else { failing.remove(id) };
}

fn answer(id: &str) -> Result<String, String> {
    if FAILING.lock().unwrap().contains(id) { Err("down".to_owned()) } else { Ok(id.to_owned()) }
}

macro_rules! tests {
    ($($backend:tt)+) => {
        /// Ids and tags that no other backend has.
        macro_rules! own {
            ($name:literal) => {
                concat!(module_path!(), " ", $name)
            };
        }

        #[async_cached(ttl = 600, backend = $($backend)+, stale_if_error = 600, tags("{id}"))]
        async fn stands_in(id: &'static str) -> Result<String, String> {
            answer(id)
        }

        #[async_cached(
            ttl = 600, backend = $($backend)+, stale_if_error = 600,
            tags_from = |value: &String| vec![value.clone()]
        )]
        async fn derived(id: &'static str) -> Result<String, String> {
            answer(id)
        }

        #[async_cached(ttl = 600, backend = $($backend)+, stale_while_revalidate = 600, tags("{id}"))]
        async fn at_once(id: &'static str) -> Result<String, String> {
            answer(id)
        }

        #[async_cached(ttl = 600, backend = $($backend)+, tags("{id}"))]
        async fn never_stale(id: &'static str) -> Result<String, String> {
            answer(id)
        }

        /// In a process of its own: a change of any tag meanwhile keeps a value with derived tags from being stored.
        #[tokio::test]
        async fn a_stale_value_stands_in_for_an_error() {
            const ID: &str = own!("stands in");

            in_own_process!();
            stands_in(ID).await.unwrap();
            derived(ID).await.unwrap();
            never_stale(ID).await.unwrap();
            set_failing(ID, true);
            assert_eq!(stands_in::lookup(ID).await.source, stands_in::lookup(ID).await.source, "fresh");
            expire_tag(ID).await.unwrap();
            assert_eq!(stands_in::peek(ID).await, None);
            for lookup in [stands_in::lookup(ID).await, derived::lookup(ID).await] {
                assert_eq!((lookup.value.as_deref(), lookup.source), (Ok(ID), Source::Stale));
            }
            assert_eq!(never_stale(ID).await, Err("down".to_owned()));

            // A value that is computed after it is fresh, whatever the tag went through.
            set_failing(ID, false);
            stands_in::refresh(ID).await.unwrap();
            expire_tag(ID).await.unwrap();
            expire_tag(ID).await.unwrap();
            assert_eq!(stands_in::lookup(ID).await.source, Source::Computed);
            assert_ne!(stands_in::lookup(ID).await.source, Source::Computed);
            assert_ne!(stands_in::lookup(ID).await.source, Source::Stale);
        }

        #[tokio::test]
        async fn a_stale_value_is_returned_at_once_while_the_next_one_is_computed() {
            const ID: &str = own!("at once");
            at_once(ID).await.unwrap();
            expire_tag(ID).await.unwrap();
            assert_eq!(at_once::lookup(ID).await.source, Source::Stale);
            while !matches!(at_once::lookup(ID).await.source, Source::Memory | Source::Shared) {
                yield_now().await;
            }
        }

        #[tokio::test]
        async fn an_invalidation_is_final_before_and_after_an_expiration() {
            const ID: &str = own!("final");
            for round in 0..3 {
                set_failing(ID, false);
                stands_in(ID).await.unwrap();
                derived(ID).await.unwrap();
                set_failing(ID, true);
                if round != 0 {
                    expire_tag(ID).await.unwrap();
                }
                invalidate_tag(ID).await.unwrap();
                if round != 1 {
                    expire_tag(ID).await.unwrap();
                }
                assert_eq!(stands_in(ID).await, Err("down".to_owned()), "{round}");
                assert_eq!(derived(ID).await, Err("down".to_owned()), "{round}");
            }
            set_failing(ID, false);
        }

        /// Whichever is first: the invalidation is not undone.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn an_expiration_beside_an_invalidation_does_not_undo_it() {
            const ID: &str = own!("beside");
            for _ in 0..50 {
                set_failing(ID, false);
                stands_in(ID).await.unwrap();
                set_failing(ID, true);
                let expirations = [(); 3].map(|()| tokio::spawn(expire_tag(ID)));
                invalidate_tag(ID).await.unwrap();
                assert_eq!(stands_in(ID).await, Err("down".to_owned()));
                for expiration in expirations {
                    expiration.await.unwrap().unwrap();
                }
                assert_eq!(stands_in(ID).await, Err("down".to_owned()));
            }
        }

        #[tokio::test]
        async fn a_computation_that_began_before_it_is_not_fresh() {
            const ID: &str = own!("in flight");

            #[async_cached(ttl = 600, backend = $($backend)+, stale_if_error = 600, tags(own!("in flight")))]
            async fn slow() -> Result<String, String> {
                let answer = answer(ID);
                yield_now().await;
                expire_tag(ID).await.unwrap();
                answer
            }

            slow().await.unwrap();
            assert_eq!(slow::lookup().await.source, Source::Computed);
        }
    };
}

on_each_backend! { tests }
