//! By hand, by `async-memcached`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_memcached::AsciiProtocol as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::{Client, key};
use crate::setting::{LIFETIME, REGION, User, text};

/// A connection serves one call at a time, so there are several.
const CONNECTIONS: usize = 8;

#[derive(Clone)]
pub(crate) struct AsyncMemcached {
    connections: Arc<[Mutex<async_memcached::Client>]>,
    next: Arc<AtomicUsize>,
}

impl AsyncMemcached {
    pub(crate) async fn connect(addr: &str) -> Self {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let connected = async_memcached::Client::new(format!("tcp://{addr}")).await;
            connections.push(Mutex::new(connected.unwrap()));
        }
        Self { connections: connections.into(), next: Arc::default() }
    }

    async fn get_or_set<V: Serialize + DeserializeOwned>(
        &self,
        kind: &str,
        id: u64,
        new: impl FnOnce() -> V,
    ) -> V {
        let key = key("async-memcached", kind, id);
        let next = self.next.fetch_add(1, Relaxed) % CONNECTIONS;
        let found = self.connections[next].lock().await.get(&key).await.unwrap();
        if let Some(bytes) = found.and_then(|found| found.data) {
            return rmp_serde::from_slice(&bytes).unwrap();
        }
        let value = new();
        let bytes = rmp_serde::to_vec_named(&value).unwrap();
        let lifetime = Some(LIFETIME.cast_signed());
        self.connections[next].lock().await.set(&key, &bytes[..], lifetime, None).await.unwrap();
        value
    }
}

impl Client for AsyncMemcached {
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
