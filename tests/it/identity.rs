//! Functions, instances and keys that have one name in a shared store: what this process can notice is no hit.

use std::any::type_name;
use std::hash::Hash;

use cached_runtime::{BoxFuture, async_cached};
use cached_tests::runs::Runs;
use serde::Serialize;

use crate::log::Log;
use crate::support::on_each_backend;

macro_rules! tests {
    ($($backend:tt)+) => {
        mod closures {
            use super::*;

            #[async_cached(ttl = 600, skip(function), backend = $($backend)+)]
            async fn on<F: Fn(u32) -> u32 + Send + Sync + 'static>(function: F, id: u32) -> u32 {
                function(id)
            }

            #[tokio::test]
            async fn closures_are_told_apart() {
                for _ in 0..2 {
                    assert_eq!(on(|x| x + 1, 1).await, 2);
                    assert_eq!(on(|x| x + 100, 1).await, 101);
                }
            }
        }

        mod blocks {
            use super::*;

            static RUNS: Runs = Runs::new();

            struct One;
            struct Two;

            trait Load {
                fn load(id: u32) -> BoxFuture<'static, String>;
                fn invalidate(id: u32) -> BoxFuture<'static, cached_runtime::Result<()>>;
                fn put(id: u32, value: String) -> BoxFuture<'static, cached_runtime::Result<()>>;
            }

            const _: () = {
                #[async_cached(ttl = 600, backend = $($backend)+)]
                async fn load(id: u32) -> String {
                    RUNS.next();
                    format!("one {id}")
                }

                impl Load for One {
                    fn load(id: u32) -> BoxFuture<'static, String> {
                        Box::pin(load(id))
                    }
                    fn invalidate(id: u32) -> BoxFuture<'static, cached_runtime::Result<()>> {
                        load::invalidate(id)
                    }
                    fn put(id: u32, value: String) -> BoxFuture<'static, cached_runtime::Result<()>> {
                        load::put(id, value)
                    }
                }
            };

            const _: () = {
                #[async_cached(ttl = 600, backend = $($backend)+)]
                async fn load(id: u32) -> String {
                    RUNS.next();
                    format!("two {id}")
                }

                impl Load for Two {
                    fn load(id: u32) -> BoxFuture<'static, String> {
                        Box::pin(load(id))
                    }
                    fn invalidate(id: u32) -> BoxFuture<'static, cached_runtime::Result<()>> {
                        load::invalidate(id)
                    }
                    fn put(id: u32, value: String) -> BoxFuture<'static, cached_runtime::Result<()>> {
                        load::put(id, value)
                    }
                }
            };

            #[tokio::test]
            async fn functions_of_one_path_are_told_apart_and_reported_once() {
                let (log, _guard) = Log::start();
                // Alone, the first function uses the store.
                assert_eq!((One::load(1).await, One::load(1).await), ("one 1".into(), "one 1".into()));
                assert_eq!(RUNS.count(), 1);
                for _ in 0..2 {
                    assert_eq!(Two::load(1).await, "two 1");
                    assert_eq!(One::load(1).await, "one 1");
                    One::invalidate(2).await.unwrap();
                    Two::put(3, "put".into()).await.unwrap();
                    assert_eq!(One::load(3).await, "one 3");
                }
                let is_memory = stringify!($($backend)+) == "\"memory\"";
                let errors = log.lines_with("::blocks");
                assert_eq!(errors.len(), usize::from(!is_memory), "{errors:#?}");
                for error in errors {
                    assert_eq!(error.matches("identity.rs:").count(), 2, "{error}");
                    assert!(error.contains("`name = \"...\"`"), "{error}");
                }
            }
        }

        mod named_blocks {
            use super::*;

            static RUNS: Runs = Runs::new();

            struct One;
            struct Two;

            const _: () = {
                #[async_cached(ttl = 600, backend = $($backend)+)]
                async fn load() -> String {
                    RUNS.next();
                    "one".to_owned()
                }

                impl One {
                    fn load() -> impl Future<Output = String> {
                        load()
                    }
                }
            };

            const _: () = {
                #[async_cached(ttl = 600, name = "named_blocks", backend = $($backend)+)]
                async fn load() -> String {
                    RUNS.next();
                    "two".to_owned()
                }

                impl Two {
                    fn load() -> impl Future<Output = String> {
                        load()
                    }
                }
            };

            #[tokio::test]
            async fn a_name_settles_it() {
                for _ in 0..2 {
                    assert_eq!((One::load().await, Two::load().await), ("one".to_owned(), "two".to_owned()));
                }
                assert_eq!(RUNS.count(), 2);
            }
        }

        mod local_types {
            use super::*;

            #[async_cached(ttl = 600, backend = $($backend)+)]
            async fn size<T: 'static>() -> usize {
                size_of::<T>()
            }

            /// Nothing in the name of the type says that it is local.
            #[allow(clippy::items_after_statements, reason = "each type is local to its block")]
            fn of_a_function(second: bool) -> BoxFuture<'static, usize> {
                if second {
                    struct Local(#[expect(dead_code, reason = "its size counts")] u16);
                    return Box::pin(size::<Local>());
                }
                struct Local(#[expect(dead_code, reason = "its size counts")] u8);
                Box::pin(size::<Local>())
            }

            #[tokio::test]
            async fn local_types_of_one_name_are_told_apart() {
                for _ in 0..2 {
                    assert_eq!((of_a_function(false).await, of_a_function(true).await), (1, 2));
                }
            }

            #[allow(clippy::extra_unused_type_parameters, reason = "it tells the instances apart")]
            #[async_cached(ttl = 600, skip(runs), backend = $($backend)+)]
            async fn counted<T: 'static>(runs: &Runs) -> u64 {
                runs.next()
            }

            /// Another program may have another type of that name, and share the store.
            #[tokio::test]
            async fn a_type_that_is_seen_to_be_local_bypasses_a_shared_store() {
                struct Local;
                assert!(type_name::<Local>().contains("{{closure}}"), "{}", type_name::<Local>());
                let (log, _guard) = Log::start();
                let runs = Runs::new();
                let is_memory = stringify!($($backend)+) == "\"memory\"";
                assert_eq!(counted::<Local>(&runs).await, 1);
                assert_eq!(counted::<Local>(&runs).await, if is_memory { 1 } else { 2 });
                let errors = log.lines_with("::counted");
                assert_eq!(errors.len(), usize::from(!is_memory), "{errors:#?}");
            }
        }

        mod keys {
            use super::*;

            #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
            struct Query {
                #[serde(skip)]
                tenant: &'static str,
                id: u32,
            }

            #[async_cached(ttl = 600, backend = $($backend)+)]
            async fn answer(query: Query) -> String {
                format!("{} {}", query.tenant, query.id)
            }

            #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
            #[serde(untagged)]
            enum Id {
                User(u32),
                Order(u32),
            }

            #[async_cached(ttl = 600, backend = $($backend)+)]
            async fn kind(id: Id) -> String {
                format!("{id:?}")
            }

            /// Where memory compares with `Eq`, a shared store has what serde writes. Release builds do not compare.
            #[tokio::test]
            async fn keys_that_serde_writes_alike_are_reported_once_in_debug_builds() {
                let (log, _guard) = Log::start();
                for _ in 0..2 {
                    for tenant in ["a", "a", "b", "c"] {
                        answer(Query { tenant, id: 1 }).await;
                    }
                    kind(Id::User(1)).await;
                    kind(Id::Order(1)).await;
                    kind(Id::Order(2)).await;
                }
                let is_memory = stringify!($($backend)+) == "\"memory\"";
                let is_checked = cfg!(any(debug_assertions, feature = "moved-clock")) && !is_memory;
                for function in ["::answer", "::kind"] {
                    let errors = log.lines_with(function);
                    assert_eq!(errors.len(), usize::from(is_checked), "{errors:#?}");
                }
            }
        }
    };
}

on_each_backend!(tests);
