//! A value type that changes between two versions of a program that run side by side on one store.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Stats, Store, async_cached};
use cached_tests::server::{MemcachedServer, RedisServer};
use serde::{Deserialize, Serialize};

use crate::servers::Server;

/// Expands each case to tests of the old and the new type of a value, given with the n-th value of each.
///
/// Serde names both `User`, and decodes most of the old bytes as the new type without an error.
macro_rules! deploys {
    ($($expected:ident $case:ident {
        old: { $($old:item)+ } $old_value:expr,
        new: { $($new:item)+ } $new_value:expr,
    })*) => {$(
        mod $case {
            use super::*;

            mod old {
                use super::*;
                $(#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] $old)+
            }

            mod new {
                use super::*;
                $(#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] $new)+
            }

            deploys!(of redis, RedisServer, $expected, $old_value, $new_value);
            deploys!(of memcached, MemcachedServer, $expected, $old_value, $new_value);
        }
    )*};
    (of $kind:ident, $server:ty, $expected:ident, $old_value:expr, $new_value:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $kind() {
            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
            static COMPUTATIONS: AtomicU64 = AtomicU64::new(0);

            fn store() -> Arc<dyn Store> {
                Arc::clone(STORE.get().unwrap())
            }

            #[async_cached(ttl = 600, backend = store(), name = "user")]
            async fn before(id: u64) -> old::User {
                let (value, _): (fn(u64) -> old::User, _) = ($old_value, id);
                value(COMPUTATIONS.fetch_add(1, Relaxed))
            }

            #[async_cached(ttl = 600, backend = store(), name = "user")]
            async fn after(id: u64) -> new::User {
                let (value, _): (fn(u64) -> new::User, _) = ($new_value, id);
                value(COMPUTATIONS.fetch_add(1, Relaxed))
            }

            // The deadline is long enough for a server that is busy with other tests.
            let server = <$server as Server>::start();
            STORE.get_or_init(|| <$server>::store_at(&server.address(), Duration::from_secs(10)));
            let (old, new): (fn(u64) -> old::User, fn(u64) -> new::User) = ($old_value, $new_value);

            assert_eq!(before(1).await, old(0));
            assert_eq!(before(1).await, old(0), "the old program reads its own value");
            let second = deploys!($expected);
            assert_eq!(after(1).await, new(second), "the new program");
            assert_eq!(after(1).await, new(second));
            assert_eq!(before(1).await, old(0), "the old value is kept");
            assert_eq!(after(1).await, new(second));
            deploys!($expected: before::stats(), after::stats());

            before::invalidate(1).await.unwrap();
            let third = second + 1;
            assert_eq!(after(1).await, new(third), "an invalidation by the old program");
            assert_eq!(before(1).await, old(third + second));
            after::invalidate(1).await.unwrap();
            assert_eq!(before(1).await, old(third + second + 1), "an invalidation by the new program");
            assert_eq!(after(1).await, new(third + second + 1 + second));
            after::clear().await.unwrap();
            let last = third + 2 * second + 2;
            assert_eq!(after(1).await, new(last));
            assert_eq!(before(1).await, old(last + second));
        }
    };
    (misses) => { 1 };
    (hits) => { 0 };
    (misses: $before:expr, $after:expr) => { assert_eq!(counts(&$before, &$after), [(1, 0), (1, 0)]) };
    (hits: $before:expr, $after:expr) => { assert_eq!(counts(&$before, &$after), [(1, 0), (0, 0)]) };
}

/// Returns the computations and the undecodable values of both programs.
fn counts(before: &Stats, after: &Stats) -> [(u64, u64); 2] {
    [before, after].map(|stats| (stats.computed, stats.undecodable))
}

deploys! {
    misses a_field_was_added {
        old: { pub(super) struct User { pub id: u64 } } |id| old::User { id },
        new: { pub(super) struct User { pub id: u64, #[serde(default)] pub admin: bool } } |id| new::User { id, admin: true },
    }
    misses an_option_was_added {
        old: { pub(super) struct User { pub id: u64 } } |id| old::User { id },
        new: { pub(super) struct User { pub id: u64, pub boss: Option<u64> } } |id| new::User { id, boss: Some(7) },
    }
    misses a_field_was_removed {
        old: { pub(super) struct User { pub id: u64, pub of: u64 } } |id| old::User { id, of: 3 },
        new: { pub(super) struct User { pub id: u64 } } |id| new::User { id },
    }
    misses a_field_was_renamed {
        old: { pub(super) struct User { pub id: u64, #[serde(default)] pub net: u64 } } |id| old::User { id, net: 1 },
        new: { pub(super) struct User { pub id: u64, #[serde(default)] pub gross: u64 } } |id| new::User { id, gross: 2 },
    }
    misses a_field_has_another_type {
        old: { pub(super) struct User { pub id: u32 } } |id| old::User { id: id.try_into().unwrap() },
        new: { pub(super) struct User { pub id: u64 } } |id| new::User { id },
    }
    misses a_field_has_another_unit {
        old: {
            pub(super) struct User { pub id: u64, pub height: Feet }
            pub(super) struct Feet(pub f64);
        } |id| old::User { id, height: old::Feet(6.0) },
        new: {
            pub(super) struct User { pub id: u64, pub height: Meters }
            pub(super) struct Meters(pub f64);
        } |id| new::User { id, height: new::Meters(1.8) },
    }
    misses a_variant_was_added {
        old: { pub(super) enum User { Guest(u64) } } old::User::Guest,
        new: { #[allow(dead_code)] pub(super) enum User { Guest(u64), Member(u64) } } new::User::Guest,
    }
    misses a_field_was_added_deep_inside {
        old: {
            pub(super) struct User { pub id: u64, pub posts: Vec<Post> }
            pub(super) enum Post { Text { words: u64 } }
        } |id| old::User { id, posts: vec![old::Post::Text { words: 1 }] },
        new: {
            pub(super) struct User { pub id: u64, pub posts: Vec<Post> }
            pub(super) enum Post { Text { words: u64, #[serde(default)] draft: bool } }
        } |id| new::User { id, posts: vec![new::Post::Text { words: 1, draft: true }] },
    }
    misses the_whole_has_another_unit {
        old: {
            pub(super) struct Feet(pub u64);
            #[serde(transparent)] pub(super) struct User(pub Feet);
        } |feet| old::User(old::Feet(feet)),
        new: {
            pub(super) struct Meters(pub u64);
            #[serde(transparent)] pub(super) struct User(pub Meters);
        } |meters| new::User(new::Meters(meters)),
    }
    hits the_fields_have_another_order {
        old: {
            pub(super) struct User { pub id: u64, pub name: String, pub of: Kind }
            pub(super) enum Kind { Guest, Member }
        } |id| old::User { id, name: "a".into(), of: if id == 0 { old::Kind::Guest } else { old::Kind::Member } },
        new: {
            pub(super) enum Kind { Member, Guest }
            pub(super) struct User { pub name: String, pub of: Kind, pub id: u64 }
        } |id| new::User { id, name: "a".into(), of: if id == 0 { new::Kind::Guest } else { new::Kind::Member } },
    }
    hits the_type_has_moved {
        old: { pub(super) struct User { pub id: u64 } } |id| old::User { id },
        new: { pub(super) struct User { pub id: u64 } } |id| new::User { id },
    }
}
