//! The cached functions.

use std::sync::Arc;

use cached_runtime::{Store, async_cached};

use crate::setting::{SETTING, TEXT_BYTES, User};

macro_rules! functions {
    ($backend:ident) => {
        pub(crate) mod $backend {
            use super::*;

            fn store() -> Arc<dyn Store> {
                Arc::clone(&SETTING.$backend)
            }

            #[async_cached(ttl = 3_600, backend = store())]
            pub(crate) async fn user(id: u64, region: &str) -> Result<User, String> {
                Ok(User::new(id, region))
            }

            #[async_cached(ttl = 3_600, backend = store())]
            pub(crate) async fn number(key: u64) -> u64 {
                key
            }

            #[async_cached(ttl = 3_600, backend = store())]
            pub(crate) async fn text(id: u64) -> String {
                "x".repeat(TEXT_BYTES + usize::from(id == 0))
            }
        }
    };
}
functions!(redis);
functions!(memcached);

fn no_server() -> Arc<dyn Store> {
    Arc::clone(&SETTING.down)
}

#[async_cached(ttl = 3_600, backend = no_server())]
pub(crate) async fn user_without_server(id: u64, region: &str) -> Result<User, String> {
    Ok(User::new(id, region))
}
