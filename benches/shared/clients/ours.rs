//! The attribute of this project.

use std::sync::Arc;

use cached_runtime::{Stats, Store, async_cached};

use super::Client;
use crate::setting::{REGION, SETTING, User, text};

macro_rules! client {
    ($backend:ident, $client:ident) => {
        mod $backend {
            use super::*;

            fn store() -> Arc<dyn Store> {
                Arc::clone(&SETTING.$backend)
            }

            #[async_cached(ttl = "1h", backend = store())]
            pub(super) async fn user(id: u64, region: &str) -> Result<User, String> {
                Ok(User::new(id, region))
            }

            #[async_cached(ttl = "1h", backend = store())]
            pub(super) async fn long_text(id: u64) -> String {
                text(id)
            }

            #[async_cached(ttl = "1h", backend = store())]
            pub(super) async fn same(number: u64) -> u64 {
                number
            }
        }

        #[derive(Clone)]
        pub(crate) struct $client;

        impl Client for $client {
            async fn user(&self, id: u64) -> User {
                $backend::user(id, REGION).await.unwrap()
            }

            async fn text(&self, id: u64) -> String {
                $backend::long_text(id).await
            }

            async fn number(&self, number: u64) -> u64 {
                $backend::same(number).await
            }
        }
    };
}

client!(redis, InRedis);
client!(memcached, InMemcached);
client!(down, WithoutServer);

/// Returns what [`InRedis`] counts of its numbers.
pub(crate) fn numbers_in_redis() -> Stats {
    redis::same::stats()
}

/// Returns what [`InMemcached`] counts of its numbers.
pub(crate) fn numbers_in_memcached() -> Stats {
    memcached::same::stats()
}
