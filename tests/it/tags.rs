//! Tags: `invalidate_tag` invalidates the values of all functions and stores that have a tag.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Store, async_cached, invalidate_tag};
use cached_tests::own_process::only;
use cached_tests::proxy::Proxy;
use cached_tests::server::{MemcachedServer, RedisServer};
use cached_tests::{EPOCH_KEY_OF_TAGS, in_own_process};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::servers::{Server, eventually};
use crate::support::{Body, SOON, Source, on_each_backend, settle};

macro_rules! tests {
    ($($backend:tt)+) => {
        /// All functions of the process share the tags: each backend uses names of its own.
        macro_rules! own {
            ($name:literal) => {
                concat!(module_path!(), " ", $name)
            };
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), tags("user:{id}", own!("users"), format!("{lang} {id}")))]
        async fn profile(source: Arc<Source>, id: &'static str, lang: &'static str) -> usize {
            assert!(id.len() + lang.len() > 1);
            source.read().await
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), tags("user:{id}"))]
        async fn orders(source: Arc<Source>, id: &'static str) -> Result<usize, String> {
            assert!(!id.is_empty());
            Ok(source.read().await)
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(source))]
        async fn untagged(source: Arc<Source>, id: &'static str) -> usize {
            assert!(!id.is_empty());
            source.read().await
        }

        #[async_cached(ttl = 600, backend = $($backend)+, skip(source), tags_from = |member: &(usize, String)| vec![member.1.clone()])]
        async fn member(source: Arc<Source>, id: u64, team: &'static str) -> (usize, String) {
            assert!(id < 1_000);
            (source.read().await, team.to_owned())
        }

        #[async_cached(
            ttl = 600, backend = $($backend)+, skip(source), cache_err = "10m",
            tags_from = |version: &usize| vec![version.to_string()]
        )]
        async fn fails(source: Arc<Source>) -> Result<usize, String> {
            Err(source.read().await.to_string())
        }

        #[async_cached(
            ttl = 600, backend = $($backend)+, skip(source), cache_none = "10m",
            tags_from = |version: &usize| vec![version.to_string()]
        )]
        async fn absent(source: Arc<Source>) -> Option<usize> {
            (source.read().await > 1_000).then_some(0)
        }

        /// Their derived tags are unknown. In a process of its own, because tags of other tests invalidate them too.
        #[tokio::test]
        async fn cached_errors_and_none_are_invalidated_with_any_tag_if_tags_are_derived() {
            in_own_process!();
            let source = Source::new(Body::open());
            let both = async || (fails(Arc::clone(&source)).await, absent(Arc::clone(&source)).await);
            assert_eq!(both().await, (Err("1".to_owned()), None));
            source.change();
            assert_eq!(both().await, (Err("1".to_owned()), None));
            invalidate_tag(own!("unused")).await.unwrap();
            assert_eq!((fails::peek().await, absent::peek().await), (None, None));
            let begun = source.body.begun();
            assert_eq!(both().await, (Err("2".to_owned()), None));
            assert_eq!(source.body.begun(), begun + 2);
            fails::put(7).await.unwrap();
            absent::put(None).await.unwrap();
            invalidate_tag(own!("unused")).await.unwrap();
            assert_eq!((fails::peek().await, absent::peek().await), (Some(Ok(7)), None));
        }

        #[async_cached(
            ttl = 600, backend = $($backend)+, skip(source),
            tags_from = |version: &usize| (0..=100).map(|n| format!("{version} {n}")).collect()
        )]
        async fn tagged_too_often(source: Arc<Source>) -> usize {
            source.read().await
        }

        #[tokio::test]
        async fn a_value_with_too_many_tags_is_returned_and_not_stored() {
            let source = Source::new(Body::open());
            for _ in 0..3 {
                assert_eq!(tagged_too_often(Arc::clone(&source)).await, 1);
            }
            // Memory has no limit of tags.
            let errors = tagged_too_often::stats().store_errors;
            assert_eq!(usize::try_from(errors).unwrap(), if errors == 0 { 0 } else { source.body.begun() });
            assert!(errors == 0 || errors == 3);
        }

        #[tokio::test]
        async fn a_tag_invalidates_the_tagged_values_of_all_functions_only() {
            let source = Source::new(Body::open());
            let [ada, bob] = [own!("ada"), own!("bob")];
            let all = async || {
                let mut found = Vec::new();
                for id in [ada, bob] {
                    found.push(profile(Arc::clone(&source), id, "en").await);
                    found.push(profile(Arc::clone(&source), id, "de").await);
                    found.push(orders(Arc::clone(&source), id).await.unwrap());
                    found.push(untagged(Arc::clone(&source), id).await);
                }
                found
            };
            assert_eq!(all().await, [1; 8]);
            source.change();
            assert_eq!(all().await, [1; 8]);
            invalidate_tag(format!("user:{ada}")).await.unwrap();
            assert_eq!(profile::peek(ada, "en").await, None);
            assert_eq!(all().await, [2, 2, 2, 1, 1, 1, 1, 1]);
            source.change();
            invalidate_tag(format!("de {bob}")).await.unwrap();
            assert_eq!(all().await, [2, 2, 2, 1, 1, 3, 1, 1]);
            source.change();
            invalidate_tag(own!("users")).await.unwrap();
            assert_eq!(all().await, [4, 4, 2, 1, 4, 4, 1, 1]);
            invalidate_tag(own!("of no value")).await.unwrap();
            source.change();
            assert_eq!(all().await, [4, 4, 2, 1, 4, 4, 1, 1]);
        }

        #[tokio::test]
        async fn invalidating_a_tag_during_a_computation_is_final() {
            let id = own!("in flight");
            for waiting in [0, 10] {
                orders::invalidate(id).await.unwrap();
                let source = Source::new(Body::held());
                let calls: Vec<_> = (0..=waiting).map(|_| tokio::spawn(orders(Arc::clone(&source), id))).collect();
                source.body.has_begun(1).await;
                for _ in 0..3 {
                    settle().await;
                    let _ = orders::peek(own!("nothing")).await;
                }
                source.change();
                invalidate_tag(format!("user:{id}")).await.unwrap();
                let later: Vec<_> = (0..5).map(|_| tokio::spawn(orders(Arc::clone(&source), id))).collect();
                for _ in 0..3 {
                    settle().await;
                    let _ = orders::peek(own!("nothing")).await;
                }
                source.body.let_all_through();
                for call in later {
                    assert_eq!(timeout(SOON, call).await.unwrap().unwrap(), Ok(2), "a call after the invalidation, with {waiting} waiting");
                }
                for call in calls {
                    assert!([Ok(1), Ok(2)].contains(&timeout(SOON, call).await.unwrap().unwrap()));
                }
                assert_eq!(orders(Arc::clone(&source), id).await, Ok(2));
            }
        }

        /// In a process of its own, because a value with derived tags is not stored if any tag was invalidated during its
        /// computation.
        #[tokio::test]
        async fn a_value_has_derived_tags() {
            in_own_process!();
            let source = Source::new(Body::open());
            let call = async |id, team| member(Arc::clone(&source), id, team).await.0;
            assert_eq!((call(1, own!("red")).await, call(2, own!("red")).await, call(3, own!("blue")).await), (1, 1, 1));
            source.change();
            invalidate_tag(own!("red")).await.unwrap();
            assert_eq!((call(1, own!("red")).await, call(2, own!("red")).await, call(3, own!("blue")).await), (2, 2, 1));
            member::put(3, own!("blue"), (9, own!("green").to_owned())).await.unwrap();
            invalidate_tag(own!("blue")).await.unwrap();
            assert_eq!(call(3, own!("blue")).await, 9, "the value has the tag `green` now");
            invalidate_tag(own!("green")).await.unwrap();
            assert_eq!(call(3, own!("blue")).await, 2);
        }

        /// Spawns a call that has read old data. The tags of its value are not yet known.
        async fn reading(id: u64, team: &'static str) -> (Arc<Source>, JoinHandle<(usize, String)>) {
            let source = Source::new(Body::held());
            let call = tokio::spawn(member(Arc::clone(&source), id, team));
            source.body.has_begun(1).await;
            source.change();
            (source, call)
        }

        #[tokio::test]
        async fn a_derived_tag_may_be_invalidated_before_the_value_is_computed() {
            let team = own!("unheard of");
            let (source, call) = reading(10, team).await;
            invalidate_tag(team).await.unwrap();
            source.body.let_all_through();
            call.await.unwrap();
            assert_eq!(member(source, 10, team).await.0, 2);
        }

        #[tokio::test]
        async fn an_invalidation_of_a_tag_outlives_its_values() {
            let team = own!("removed");
            member::put(20, team, (0, team.to_owned())).await.unwrap();
            let (source, call) = reading(21, team).await;
            invalidate_tag(team).await.unwrap();
            member::invalidate(20, team).await.unwrap();
            source.body.let_all_through();
            call.await.unwrap();
            assert_eq!(member(source, 21, team).await.0, 2);
        }

        #[tokio::test]
        async fn put_and_refreshed_values_have_tags() {
            let (source, id) = (Source::new(Body::open()), own!("put"));
            orders::put(id, 7).await.unwrap();
            assert_eq!(orders::peek(id).await, Some(Ok(7)));
            invalidate_tag(format!("user:{id}")).await.unwrap();
            assert_eq!(orders::peek(id).await, None);
            assert_eq!(orders::refresh(Arc::clone(&source), id).await, Ok(1));
            assert_eq!(orders::peek(id).await, Some(Ok(1)));
            invalidate_tag(format!("user:{id}")).await.unwrap();
            assert_eq!(orders::peek(id).await, None);
        }

        #[derive(Clone)]
        pub(super) struct Repo(u64);

        impl Repo {
            #[async_cached(ttl = 600, backend = $($backend)+, key = (self.0, id), tags("repo:{id}"))]
            pub(super) async fn find(&self, source: &Source, id: &'static str) -> usize {
                assert!(!id.is_empty());
                source.read().await
            }
        }

        trait Finds {
            async fn find_one(&self, source: &Source, id: &'static str) -> usize;
        }

        #[async_cached]
        impl Finds for Repo {
            #[async_cached(ttl = 600, backend = $($backend)+, key = (self.0, id), tags("repo:{id}"))]
            async fn find_one(&self, source: &Source, id: &'static str) -> usize {
                assert!(!id.is_empty());
                source.read().await
            }
        }

        #[tokio::test]
        async fn methods_have_tags() {
            let (source, repo, id) = (Source::new(Body::open()), Repo(1), own!("method"));
            let both = async || (repo.find(&source, id).await, repo.find_one(&source, id).await);
            assert_eq!(both().await, (1, 1));
            source.change();
            assert_eq!(both().await, (1, 1));
            invalidate_tag(format!("repo:{id}")).await.unwrap();
            assert_eq!(both().await, (2, 2));
        }
    };
}

on_each_backend!(tests);

/// Tests of tags on a server and a store of their own.
macro_rules! on_a_server {
    ($($kind:ident: $server:ty;)*) => {$(
        mod $kind {
            use super::*;

            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            fn store() -> Arc<dyn Store> {
                Arc::clone(STORE.get().unwrap())
            }

            #[async_cached(ttl = 600, backend = store(), skip(source), tags("user:{id}", "users"))]
            async fn load(source: Arc<Source>, id: u64) -> usize {
                assert!(id < 10_000);
                source.read().await
            }

            #[async_cached(ttl = 600, backend = store(), skip(source), tags_from = |value: &usize| vec![format!("version {value}")])]
            async fn derived(source: Arc<Source>) -> usize {
                source.read().await
            }

            const TASK: &str = concat!("CACHED_TEST_TAGS_", stringify!($kind));

            /// The entry point of another process, which invalidates a tag.
            #[test]
            fn invalidating_process() {
                let Ok(given) = std::env::var(TASK) else { return };
                let (address, tag) = given.split_once(' ').unwrap();
                let _ = STORE.set(<$server as Server>::store_at(address, SOON / 3));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let source = Source::new(Body::open());
                    load(source, 9_999).await;
                    invalidate_tag(tag).await.unwrap();
                });
            }

            async fn another_process_invalidates(server: &$server, tag: &str) {
                let mut other = only(concat!("tags::", stringify!($kind), "::invalidating_process"));
                other.env(TASK, format!("{} {tag}", server.address()));
                let ended = tokio::task::spawn_blocking(move || other.output().unwrap()).await.unwrap();
                assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
            }

            fn start() -> $server {
                let server = <$server>::start();
                let _ = STORE.set(<$server as Server>::store_at(&server.address(), SOON / 3));
                server
            }

            /// One test, because there is one store; in a process of its own, because its server does not outlive it.
            #[tokio::test]
            async fn another_process_invalidates_tags() {
                in_own_process!();
                let server = start();
                let source = Source::new(Body::open());
                assert_eq!((load(Arc::clone(&source), 1).await, load(Arc::clone(&source), 2).await), (1, 1));
                assert_eq!(derived(Arc::clone(&source)).await, 1);
                source.change();
                another_process_invalidates(&server, "user:1").await;
                assert_eq!((load(Arc::clone(&source), 1).await, load(Arc::clone(&source), 2).await), (2, 1));
                another_process_invalidates(&server, "version 1").await;
                assert_eq!(derived(Arc::clone(&source)).await, 2);

                // Another process invalidates a tag while this one computes and callers wait.
                let slow = Source::new(Body::held());
                let first = tokio::spawn(load(Arc::clone(&slow), 3));
                slow.body.has_begun(1).await;
                slow.change();
                another_process_invalidates(&server, "users").await;
                let later: Vec<_> = (0..5).map(|_| tokio::spawn(load(Arc::clone(&slow), 3))).collect();
                for _ in 0..10 {
                    settle().await;
                    let _ = load::peek(4).await;
                }
                slow.body.let_all_through();
                for call in later {
                    assert_eq!(timeout(SOON, call).await.unwrap().unwrap(), 2);
                }
                first.await.unwrap();
                assert_eq!(load(slow, 3).await, 2);
                source.change();
                assert_eq!(load(Arc::clone(&source), 2).await, 3, "this value has the tag too");

                // The same for a derived tag.
                derived::invalidate().await.unwrap();
                let slow = Source::new(Body::held());
                let first = tokio::spawn(derived(Arc::clone(&slow)));
                slow.body.has_begun(1).await;
                slow.change();
                another_process_invalidates(&server, "version 1").await;
                slow.body.let_all_through();
                first.await.unwrap();
                assert_eq!(derived(slow).await, 2);

                // A value whose generation was evicted counts as invalidated.
                assert_eq!(load(Arc::clone(&source), 2).await, 3);
                source.change();
                eventually("the generations are evicted", async || {
                    let generations = server.keys().into_iter().filter(|key| key.starts_with("tags:"));
                    generations.for_each(|generation| server.delete(&generation));
                    load(Arc::clone(&source), 2).await == 4
                })
                .await;
                server.delete_all();
                source.change();
                assert_eq!(load(Arc::clone(&source), 2).await, 5);
                assert_eq!(load(Arc::clone(&source), 2).await, 5);
            }

            /// In a process of its own, because the store is one that fails.
            #[test]
            fn an_unconfirmed_invalidation_of_a_tag_is_retried() {
                in_own_process!();
                let server = <$server>::start();
                let proxy = Proxy::start(&server.address());
                let _ = STORE.set(<$server as Server>::store_at(&proxy.addr(), Duration::from_secs(2)));
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                runtime.block_on(async {
                    let source = Source::new(Body::open());
                    assert_eq!((load(Arc::clone(&source), 1).await, derived(Arc::clone(&source)).await), (1, 1));
                    let before = server.items();

                    proxy.refuse();
                    proxy.cut();
                    source.change();
                    assert!(invalidate_tag("user:1").await.is_err(), "the store did not confirm it");
                    assert!(invalidate_tag("version 1").await.is_err());
                    assert_eq!(server.items(), before, "the store still has the generations");
                    assert_eq!(load(Arc::clone(&source), 1).await, 2, "this process does not use the old value");
                    assert_eq!(derived(Arc::clone(&source)).await, 2);

                    proxy.accept();
                    eventually("the invalidations are retried", async || server.items() == before - 2).await;
                    assert_eq!(load(Arc::clone(&source), 1).await, 2);
                    assert_eq!(derived(Arc::clone(&source)).await, 2);
                });
            }
        }
    )*};
}

on_a_server! {
    on_redis: RedisServer;
    on_memcached: MemcachedServer;
}

trait Evicts: Server {
    fn delete(&self, key: &str);
    fn delete_all(&self);
    fn items(&self) -> u64;
}

impl Evicts for RedisServer {
    fn delete(&self, key: &str) {
        let _ = self.command(&["DEL", &format!("cached:{{{key}}}")]);
    }

    fn delete_all(&self) {
        assert_eq!(self.command(&["FLUSHALL"]), "OK");
    }

    fn items(&self) -> u64 {
        self.command(&["DBSIZE"]).parse().unwrap()
    }
}

impl Evicts for MemcachedServer {
    fn delete(&self, key: &str) {
        let _ = self.command(&format!("delete cached:{key}"));
    }

    fn delete_all(&self) {
        assert_eq!(self.command("flush_all"), "OK");
    }

    fn items(&self) -> u64 {
        self.stat("curr_items")
    }
}

/// The waiting value would be older than the invalidation.
#[tokio::test]
async fn in_memory_callers_do_not_wait_for_an_invalidated_computation() {
    #[async_cached(ttl = 600, skip(source), tags("waits {id}"))]
    async fn load(source: Arc<Source>, id: u64) -> usize {
        assert!(id > 0);
        source.read().await
    }

    let (old, new) = (Source::new(Body::held()), Source::new(Body::open()));
    new.change();
    let first = tokio::spawn(load(Arc::clone(&old), 1));
    old.body.has_begun(1).await;
    invalidate_tag("waits 1").await.unwrap();
    assert_eq!(timeout(SOON, load(Arc::clone(&new), 1)).await.unwrap(), 2);
    old.body.let_all_through();
    assert_eq!(first.await.unwrap(), 1, "the first call began before the invalidation");
    assert_eq!(load::peek(1).await, Some(2));
}

mod several_stores {
    use std::sync::LazyLock;

    use cached_tests::map_store::MapStore;

    use super::*;
    use crate::support::{REDIS, poll_once};

    static MAP: LazyLock<MapStore> = LazyLock::new(MapStore::default);

    #[async_cached(ttl = 600, backend = crate::support::redis(), tags("left"))]
    async fn in_redis() -> u8 {
        1
    }

    #[async_cached(ttl = 600, backend = &*MAP, tags("left"))]
    async fn in_a_map() -> u8 {
        1
    }

    /// Like a request handler whose client has disconnected. In a process of its own, because a server stops.
    #[tokio::test]
    async fn tag_invalidation_reaches_every_store_after_its_caller_is_dropped() {
        in_own_process!();
        assert_eq!((in_redis().await, in_a_map().await), (1, 1));
        REDIS.stop();
        let mut invalidation = Box::pin(invalidate_tag("left"));
        assert!(poll_once(&mut invalidation).await.is_none(), "the first store does not answer");
        drop(invalidation);
        eventually("the second store is invalidated", async || in_a_map::peek().await.is_none()).await;
    }

    /// A store that does not answer does not delay another.
    #[tokio::test]
    async fn silent_store_does_not_delay_another() {
        in_own_process!();
        assert_eq!((in_redis().await, in_a_map().await), (1, 1));
        REDIS.stop();
        let end = tokio::spawn(invalidate_tag("left"));
        eventually("the second store is invalidated", async || in_a_map::peek().await.is_none()).await;
        assert!(!end.is_finished(), "the first is still awaited");
        assert!(end.await.unwrap().is_err());
    }
}

mod counted {
    use super::*;

    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()), tags("group:{group}", "all", "{group} {id}"))]
    async fn load(group: u64, id: u64) -> u64 {
        group + id
    }

    /// Returns how often the server executed each command.
    fn commands(server: &RedisServer) -> HashMap<String, u64> {
        let info = server.command(&["INFO", "commandstats"]);
        let count = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        info.lines()
            .filter_map(count)
            .filter(|(name, _): &(String, u64)| name != "info" && name != "ping")
            .collect()
    }

    fn executed(server: &RedisServer, before: &HashMap<String, u64>) -> HashMap<String, u64> {
        let mut executed = commands(server);
        executed.retain(|name, count| {
            *count -= before.get(name).copied().unwrap_or(0);
            *count > 0
        });
        executed
    }

    /// In a process of its own, because the server counts every invalidation of a tag in the process.
    #[tokio::test]
    async fn the_cost_of_a_tag_does_not_depend_on_the_number_of_values() {
        in_own_process!();
        let server = RedisServer::start();
        let _ = STORE.set(<RedisServer as Server>::store_at(&server.address(), SOON / 3));
        for id in 0..100 {
            load(1, id).await;
        }
        load(2, 0).await;
        let before = commands(&server);
        assert_eq!(load(1, 0).await, 1);
        assert_eq!(executed(&server, &before), [("mget".to_owned(), 1)].into(), "a hit is one round trip");

        // The first invalidation loads a script.
        invalidate_tag("group:0").await.unwrap();
        let mut costs = Vec::new();
        for group in [1, 2, 3] {
            let before = commands(&server);
            invalidate_tag(format!("group:{group}")).await.unwrap();
            costs.push(executed(&server, &before));
        }
        assert!(costs[0].values().sum::<u64>() <= 6, "{costs:?}");
        assert_eq!(costs[0], costs[1]);
        assert_eq!(costs[0], costs[2]);
        assert_eq!(load::peek(1, 99).await, None);

        let is_of_a_tag = |key: &String| key.starts_with("tags:") && key != EPOCH_KEY_OF_TAGS;
        let generations: Vec<_> = server.keys().into_iter().filter(is_of_a_tag).collect();
        assert!(generations.len() > 100, "{}", generations.len());
        for generation in generations {
            let left: i64 = server.command(&["TTL", &format!("cached:{{{generation}}}")]).parse().unwrap();
            assert!(left > 0, "{generation} never expires");
        }
    }
}

mod unconfirmed {
    use std::sync::LazyLock;

    use cached_tests::full::Full;

    use super::*;

    static TAGGED: LazyLock<Full> = LazyLock::new(Full::default);
    static EXPIRED: LazyLock<Full> = LazyLock::new(Full::default);

    /// In a process of its own, because every `invalidate_tag` of the process fails while the store is full.
    #[tokio::test]
    async fn an_unconfirmed_invalidation_of_a_tag_is_effective_in_this_process() {
        #[async_cached(ttl = 600, backend = &*TAGGED, skip(source), tags("unconfirmed"))]
        async fn load(source: Arc<Source>) -> usize {
            source.read().await
        }

        #[async_cached(ttl = 600, backend = &*TAGGED, skip(source), tags_from = |_: &usize| vec!["unconfirmed".to_owned()])]
        async fn derived(source: Arc<Source>) -> usize {
            source.read().await
        }

        in_own_process!();
        let source = Source::new(Body::open());
        let both = async || (load(Arc::clone(&source)).await, derived(Arc::clone(&source)).await);
        assert_eq!(both().await, (1, 1));
        source.change();
        TAGGED.fill_up();
        assert!(invalidate_tag("unconfirmed").await.is_err());
        assert_eq!(both().await, (2, 2), "the store still has the old values");
        assert_eq!((load::peek().await, derived::peek().await), (None, None));
        TAGGED.make_room();
        eventually("the invalidation is retried", async || {
            both().await;
            (load::peek().await, derived::peek().await) == (Some(2), Some(2))
        })
        .await;
    }

    #[tokio::test]
    async fn an_unconfirmed_expire_is_retried_as_an_invalidation() {
        #[async_cached(ttl = 600, backend = &*EXPIRED, skip(source), stale_while_revalidate = "10m")]
        async fn kept(source: Arc<Source>) -> usize {
            source.read().await
        }

        let source = Source::new(Body::open());
        assert_eq!(kept(Arc::clone(&source)).await, 1);
        source.change();
        EXPIRED.fill_up();
        assert!(kept::expire().await.is_err());
        assert_eq!(kept::peek().await, None);
        assert_eq!(kept(Arc::clone(&source)).await, 2);
        EXPIRED.make_room();
        eventually("the invalidation is retried", async || {
            kept(Arc::clone(&source)).await;
            kept::peek().await == Some(2)
        })
        .await;
    }
}
