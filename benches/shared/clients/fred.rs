//! By hand, by one client of `fred`.

use std::time::Duration;

use bytes::Bytes;
use fred::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Client, key};
use crate::setting::{LIFETIME, REGION, User, text};

#[derive(Clone)]
pub(crate) struct Fred {
    client: fred::prelude::Client,
    reads: Reads,
}

/// What a hit reads.
#[derive(Debug, Clone)]
pub(crate) enum Reads {
    /// The value.
    Value,
    /// The value and a generation, which is replaced to invalidate all values, within a deadline.
    WithGeneration,
    /// The same, by one command for all tasks that wait; without bounds, deadlines or digests of keys.
    Batched(mpsc::Sender<Request>),
}

/// A read that waits for the next batch.
#[derive(Debug)]
pub(crate) struct Request {
    key: Key,
    reply: oneshot::Sender<Option<Bytes>>,
}

impl Fred {
    pub(crate) async fn connect(url: &str, reads: Reads) -> Self {
        let client = fred::types::Builder::from_config(Config::from_url(url).unwrap()).build().unwrap();
        client.init().await.unwrap();
        let _: () = client.set(GENERATION, "0123456789abcdef", None, None, false).await.unwrap();
        Self { client, reads }
    }

    pub(crate) async fn connect_batched(url: &str) -> Self {
        let (requests, queue) = mpsc::channel(MAX_BATCH);
        let connected = Self::connect(url, Reads::Batched(requests)).await;
        tokio::spawn(read_batches(connected.client.clone(), queue));
        connected
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        match &self.reads {
            Reads::Value => self.client.get(key).await.unwrap(),
            Reads::WithGeneration => {
                let keys = vec![Key::from(key), Key::from_static_str(GENERATION)];
                let found: Vec<Option<Bytes>> =
                    timeout(DEADLINE, self.client.mget(keys)).await.unwrap().unwrap();
                let [value, generation] = found.try_into().unwrap();
                value.filter(|_| generation.is_some())
            }
            Reads::Batched(requests) => {
                let (reply, value) = oneshot::channel();
                requests.send(Request { key: Key::from(key), reply }).await.unwrap();
                value.await.unwrap()
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

/// Reads what is queued, one batch after the other.
async fn read_batches(client: fred::prelude::Client, mut queue: mpsc::Receiver<Request>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let (mut keys, replies): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|Request { key, reply }| (key, reply)).unzip();
        keys.push(Key::from_static_str(GENERATION));
        let mut values: Vec<Option<Bytes>> = client.mget(keys).await.unwrap();
        let generation = values.pop().flatten();
        for (reply, value) in replies.into_iter().zip(values) {
            let _ = reply.send(value.filter(|_| generation.is_some()));
        }
    }
}

const MAX_BATCH: usize = 1_023;
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
