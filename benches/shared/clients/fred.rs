//! By hand, by one client of `fred`.

use bytes::Bytes;
use fred::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, key};
use crate::setting::{LIFETIME, REGION, User, text};

#[derive(Clone)]
pub(crate) struct Fred(fred::prelude::Client);

impl Fred {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = fred::types::Builder::from_config(Config::from_url(url).unwrap()).build().unwrap();
        client.init().await.unwrap();
        Self(client)
    }

    async fn get_or_set<V: Serialize + DeserializeOwned>(
        &self,
        kind: &str,
        id: u64,
        new: impl FnOnce() -> V,
    ) -> V {
        let key = key("hand", kind, id);
        let found: Option<Bytes> = self.0.get(&key).await.unwrap();
        if let Some(bytes) = found {
            return rmp_serde::from_slice(&bytes).unwrap();
        }
        let value = new();
        let bytes = Bytes::from(rmp_serde::to_vec_named(&value).unwrap());
        let lifetime = Expiration::EX(LIFETIME.cast_signed());
        let _: () = self.0.set(key, bytes, Some(lifetime), None, false).await.unwrap();
        value
    }
}

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
