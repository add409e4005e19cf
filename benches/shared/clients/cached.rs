//! The attribute of `cached`, with its store in Redis.

use cached::AsyncRedisCache;
use cached::macros::concurrent_cached;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Client;
use crate::setting::{LIFETIME, REGION, SETTING, User, text};

async fn store<V: Serialize + DeserializeOwned + Send>(prefix: &str) -> AsyncRedisCache<String, V> {
    let builder = AsyncRedisCache::builder(prefix).ttl_secs(LIFETIME).connection_string(&SETTING.redis_url);
    builder.build().await.unwrap()
}

/// The functions of a client. The task of its connection is on the runtime of the first call.
macro_rules! client {
    ($module:ident, $client:ident) => {
        mod $module {
            use super::*;

            #[concurrent_cached(
                ty = "AsyncRedisCache<String, User>",
                create = r#"{ store(concat!(stringify!($module), ":user")).await }"#,
                key = "String",
                convert = r#"{ format!("{id}:{region}") }"#,
                map_error = "|error| error.to_string()"
            )]
            pub(super) async fn user(id: u64, region: &str) -> Result<User, String> {
                Ok(User::new(id, region))
            }

            #[concurrent_cached(
                ty = "AsyncRedisCache<String, String>",
                create = r#"{ store(concat!(stringify!($module), ":text")).await }"#,
                key = "String",
                convert = r#"{ id.to_string() }"#,
                map_error = "|error| error.to_string()"
            )]
            pub(super) async fn long_text(id: u64) -> Result<String, String> {
                Ok(text(id))
            }

            #[concurrent_cached(
                ty = "AsyncRedisCache<String, u64>",
                create = r#"{ store(concat!(stringify!($module), ":number")).await }"#,
                key = "String",
                convert = r#"{ number.to_string() }"#,
                map_error = "|error| error.to_string()"
            )]
            pub(super) async fn same(number: u64) -> Result<u64, String> {
                Ok(number)
            }
        }

        #[derive(Clone)]
        pub(crate) struct $client;

        impl Client for $client {
            async fn user(&self, id: u64) -> User {
                $module::user(id, REGION).await.unwrap()
            }

            async fn text(&self, id: u64) -> String {
                $module::long_text(id).await.unwrap()
            }

            async fn number(&self, number: u64) -> u64 {
                $module::same(number).await.unwrap()
            }
        }
    };
}

client!(on_threads, Cached);
client!(on_one_thread, CachedOnOneThread);
