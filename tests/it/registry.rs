//! The list of cached functions, and the instances of each.

use std::sync::{LazyLock, OnceLock};

use cached_runtime::{CacheInfo, async_cached, caches};
use cached_tests::map_store::MapStore;

fn find(name: &str) -> CacheInfo {
    let mut found = caches().into_iter().filter(|cache| cache.name() == name);
    let cache = found.next().unwrap_or_else(|| panic!("{name} is not in {:?}", caches()));
    assert!(found.next().is_none(), "{name} is listed twice");
    cache
}

fn here(name: &str) -> CacheInfo {
    find(&format!("{}::{name}", module_path!()))
}

#[allow(dead_code, reason = "it is never called")]
mod unused {
    use super::*;

    #[async_cached(ttl = 61)]
    async fn function(a: u64) -> u64 {
        a
    }

    #[async_cached(ttl = 60, name = "named.in.the.attribute")]
    async fn named(a: u64) -> u64 {
        a
    }

    #[async_cached(ttl = 60, backend = "redis")]
    async fn in_redis(a: u64) -> u64 {
        a
    }

    #[async_cached(ttl = 60)]
    async fn generic<T: Send + Sync + Clone + 'static, const N: usize>(a: u64) -> Option<[T; N]> {
        let _ = a;
        None
    }

    struct Repo<T>(T);

    impl<T: Send + Sync + 'static> Repo<T> {
        #[async_cached(ttl = 60, skip(self))]
        pub(super) async fn find(&self, id: u64) -> u64 {
            id
        }

        #[async_cached(ttl = 60, associated)]
        pub(super) async fn count(id: u64) -> u64 {
            id
        }
    }

    trait Find {
        async fn find(&self, id: u64) -> u64;
    }

    impl Find for u8 {
        #[async_cached(ttl = 60, key = (*self, id))]
        async fn find(&self, id: u64) -> u64 {
            id
        }
    }

    async fn outer() {
        #[async_cached(ttl = 60)]
        async fn inner(a: u64) -> u64 {
            a
        }
    }
}

#[test]
fn unused_functions_are_listed_with_their_options() {
    let function = here("unused::function");
    assert!(format!("{:?}", function.options()).contains("61s"));
    assert_eq!(function.stats(), cached_runtime::Stats::default());
    assert!(function.instances().is_empty());
    find("named.in.the.attribute");
    let module = module_path!();
    let unused = format!("{module}::unused");
    let list: Vec<_> = caches().iter().map(CacheInfo::name).filter(|name| name.contains(&unused)).collect();
    assert_eq!(
        list,
        [
            format!("<u8 as {module}::unused::Find>::find"),
            format!("{module}::unused::Repo<_>::count"),
            format!("{module}::unused::Repo<_>::find"),
            format!("{module}::unused::function"),
            format!("{module}::unused::generic"),
            format!("{module}::unused::in_redis"),
            format!("{module}::unused::outer::inner"),
        ]
    );
}

#[test]
fn listing_evaluates_no_option() {
    #[allow(dead_code, reason = "it is never called")]
    #[async_cached(ttl = 60, backend = NOT_SET.get().unwrap())]
    async fn unset(a: u64) -> u64 {
        a
    }
    static NOT_SET: OnceLock<MapStore> = OnceLock::new();

    let cache = here("listing_evaluates_no_option::unset");
    assert!(format!("{cache:?}").contains("options: None"));
    assert_eq!((cache.stats(), cache.instances().len()), (cached_runtime::Stats::default(), 0));
}

#[tokio::test]
async fn name_stays_what_it_was_before_the_first_call() {
    #[async_cached(ttl = 60)]
    async fn used(a: u64) -> u64 {
        a
    }
    let name = format!("{}::name_stays_what_it_was_before_the_first_call::used", module_path!());
    find(&name);
    used(1).await;
    let cache = find(&name);
    assert_eq!(cache.stats().computed, 1);
    assert_eq!(cache.instances()[0].name(), name);
}

static MAP: LazyLock<MapStore> = LazyLock::new(MapStore::default);

/// Two programs, one of which never calls the function.
macro_rules! program {
    ($module:ident) => {
        mod $module {
            use super::*;

            #[allow(dead_code, reason = "one of the programs never calls it")]
            #[async_cached(ttl = 60, name = "registry.program", backend = &*MAP)]
            pub(super) async fn function(a: u64) -> u64 {
                a
            }
        }
    };
}
program!(uses);
program!(lists);

#[tokio::test]
async fn unused_function_is_cleared_in_its_store() {
    uses::function(1).await;
    assert_eq!(uses::function::peek(1).await, Some(1));
    for cache in
        caches().iter().filter(|cache| cache.name() == "registry.program" && cache.instances().is_empty())
    {
        cache.clear().await.unwrap();
    }
    assert_eq!(uses::function::peek(1).await, None);
}

#[async_cached(ttl = 60)]
async fn type_name<T: Send + Sync + 'static>(id: u64) -> (u64, &'static str) {
    (id, std::any::type_name::<T>())
}

#[tokio::test]
async fn instances_are_counted_under_their_own_names() {
    type_name::<u8>(1).await;
    for _ in 0..3 {
        type_name::<u16>(1).await;
    }
    let cache = here("type_name");
    let module = module_path!();
    let counts: Vec<_> = cache
        .instances()
        .iter()
        .map(|instance| {
            (
                instance.name().to_owned(),
                instance.stats().computed,
                instance.stats().hits,
                instance.stats().entries,
            )
        })
        .collect();
    assert_eq!(
        counts,
        [(format!("{module}::type_name<u8>"), 1, 0, 1), (format!("{module}::type_name<u16>"), 1, 2, 1)]
    );
    assert_eq!((cache.stats().computed, cache.stats().hits, cache.stats().entries), (2, 2, 2));
    assert_eq!(type_name::stats::<u8>(), cache.stats(), "the companion counts all instances");
}
