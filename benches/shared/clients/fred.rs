//! By hand, by one client of `fred`.

use std::time::Duration;

use bytes::Bytes;
use fred::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{Client, key};
use crate::setting::{LIFETIME, REGION, User, text};

#[derive(Clone)]
pub(crate) struct Fred {
    client: fred::prelude::Client,
    reads: Reads,
}

/// What a hit reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reads {
    /// The value.
    Value,
    /// The value and a generation, which is replaced to invalidate all values, within a deadline.
    WithGeneration,
}

impl Fred {
    pub(crate) async fn connect(url: &str, reads: Reads) -> Self {
        let client = fred::types::Builder::from_config(Config::from_url(url).unwrap()).build().unwrap();
        client.init().await.unwrap();
        let _: () = client.set(GENERATION, "0123456789abcdef", None, None, false).await.unwrap();
        Self { client, reads }
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        match self.reads {
            Reads::Value => self.client.get(key).await.unwrap(),
            Reads::WithGeneration => {
                let keys = vec![Key::from(key), Key::from_static_str(GENERATION)];
                let found: Vec<Option<Bytes>> =
                    timeout(DEADLINE, self.client.mget(keys)).await.unwrap().unwrap();
                let [value, generation] = found.try_into().unwrap();
                value.filter(|_| generation.is_some())
            }
        }
    }

    async fn get_or_set<V: Serialize + DeserializeOwned>(
        &self,
        kind: &str,
        id: u64,
        new: impl FnOnce() -> V,
    ) -> V {
        let key = key("hand", kind, id);
        if let Some(bytes) = self.get(&key).await {
            return rmp_serde::from_slice(&bytes).unwrap();
        }
        let value = new();
        let bytes = Bytes::from(rmp_serde::to_vec_named(&value).unwrap());
        let lifetime = Expiration::EX(LIFETIME.cast_signed());
        let _: () = self.client.set(key, bytes, Some(lifetime), None, false).await.unwrap();
        value
    }
}

/// The key of the generation; as long as one of ours.
const GENERATION: &str = "hand:generation:0123456789abcdef0123456789abcdef";
/// Not reached on an idle machine.
const DEADLINE: Duration = Duration::from_secs(5);

impl Client for Fred {
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
