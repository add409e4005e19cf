//! By hand, by a multiplexed connection of `redis`.

use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, key};
use crate::setting::{LIFETIME, REGION, User, text};

#[derive(Clone)]
pub(crate) struct RedisRs(MultiplexedConnection);

impl RedisRs {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    async fn get_or_set<V: Serialize + DeserializeOwned>(
        &self,
        kind: &str,
        id: u64,
        new: impl FnOnce() -> V,
    ) -> V {
        let key = key("redis-rs", kind, id);
        let mut connection = self.0.clone();
        let found: Option<Vec<u8>> = connection.get(&key).await.unwrap();
        if let Some(bytes) = found {
            return rmp_serde::from_slice(&bytes).unwrap();
        }
        let value = new();
        let bytes = rmp_serde::to_vec_named(&value).unwrap();
        let () = connection.set_ex(key, bytes, LIFETIME).await.unwrap();
        value
    }
}

impl Client for RedisRs {
    async fn user(&self, id: u64) -> User {
        self.get_or_set("user", id, || User::new(id, REGION)).await
    }

    async fn text(&self, id: u64) -> String {
        self.get_or_set("text", id, || text(id)).await
    }

    async fn number(&self, number: u64) -> u64 {
        self.get_or_set("number", number, || number).await
    }
}
