//! The servers, the clients, and what is stored there.

use std::sync::{Arc, LazyLock};

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store};
use cached_tests::server::{MemcachedServer, RedisServer};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::by_hand::{Fred, Grouping, RedisRs, Socket};
use crate::ours;

/// The value that is cached: 128 bytes in msgpack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    id: u64,
    name: String,
    email: String,
    city: String,
    region: String,
}

impl User {
    pub(crate) fn new(id: u64, region: &str) -> Self {
        Self {
            id,
            name: "Ada Lovelace of London".into(),
            email: "ada.lovelace@example.org".into(),
            city: "London, United Kingdom".into(),
            region: region.into(),
        }
    }
}

/// The number of keys that are stored.
pub(crate) const KEYS: u64 = 64;
pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const TEXT_BYTES: usize = 100 * 1024;

/// Servers of its own, and what reads from them.
pub(crate) static SETTING: LazyLock<Setting> = LazyLock::new(Setting::new);

pub(crate) struct Setting {
    pub(crate) threads: Runtime,
    pub(crate) redis: Arc<dyn Store>,
    pub(crate) memcached: Arc<dyn Store>,
    /// Of an address where no server is.
    pub(crate) down: Arc<dyn Store>,
    pub(crate) clients: Clients,
    redis_url: String,
    memcached_addr: String,
    _servers: (RedisServer, MemcachedServer),
}

/// What reads by hand.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) fred: Fred,
    pub(crate) redis_rs: RedisRs,
    /// It writes each request alone.
    pub(crate) single: Socket,
    /// It writes all requests that are queued at once.
    pub(crate) combined: Socket,
}

impl Setting {
    fn new() -> Self {
        let servers = (RedisServer::start(), MemcachedServer::start());
        let (redis_url, memcached_addr) = (servers.0.url(), servers.1.addr());
        let threads = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self {
            clients: threads.block_on(Clients::connect(&redis_url, &memcached_addr)),
            threads,
            redis: Arc::new(Redis::new(RedisConfig::new(&redis_url)).unwrap()),
            memcached: Arc::new(Memcached::new(MemcachedConfig::new(&memcached_addr)).unwrap()),
            down: Arc::new(Redis::new(RedisConfig::new("redis://127.0.0.1:1")).unwrap()),
            redis_url,
            memcached_addr,
            _servers: servers,
        }
    }

    /// Stores what the hits read.
    pub(crate) fn prepare(&self) {
        self.threads.block_on(async {
            let Clients { fred, combined, .. } = &self.clients;
            for id in 0..KEYS {
                let (user, text) = (User::new(id, REGION), "x".repeat(TEXT_BYTES));
                fred.store(id, REGION, &user, &text).await;
                combined.store(id, REGION, &user, &text).await;
                ours::redis::user(id, REGION).await.unwrap();
                ours::memcached::user(id, REGION).await.unwrap();
                ours::redis::text(id).await;
                ours::memcached::text(id).await;
            }
        });
    }

    /// Connects other clients, on the current runtime.
    pub(crate) async fn connect(&self) -> Clients {
        Clients::connect(&self.redis_url, &self.memcached_addr).await
    }
}

impl Clients {
    async fn connect(redis_url: &str, memcached_addr: &str) -> Self {
        Self {
            fred: Fred::connect(redis_url).await,
            redis_rs: RedisRs::connect(redis_url).await,
            single: Socket::connect(memcached_addr, Grouping::Single).await,
            combined: Socket::connect(memcached_addr, Grouping::Combined).await,
        }
    }
}
