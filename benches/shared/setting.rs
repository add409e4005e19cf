//! The servers, the clients, and what is stored there.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store};
use cached_tests::server::{MemcachedServer, RedisServer};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::clients::{AsyncMemcached, Fred, Grouping, Reads, RedisRs, Socket};

/// The value that is cached: 128 bytes in msgpack.
#[allow(dead_code, reason = "it is decoded, not read")]
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

/// The large value: 100 KiB.
pub(crate) fn text(id: u64) -> String {
    "x".repeat(100 * 1024 - usize::from(id == 0))
}

/// The number of users that hits read: so many that callers at the same time seldom have the same key.
pub(crate) const USERS: u64 = 10_000;
/// The number of texts that hits read.
pub(crate) const TEXTS: u64 = 64;
pub(crate) const REGION: &str = "eu-central-1";
/// Of what is stored by hand, in seconds.
pub(crate) const LIFETIME: u64 = 3_600;

/// Servers of its own, and what reads from them.
pub(crate) static SETTING: LazyLock<Setting> = LazyLock::new(Setting::new);

pub(crate) struct Setting {
    pub(crate) threads: Runtime,
    pub(crate) redis: Arc<dyn Store>,
    pub(crate) memcached: Arc<dyn Store>,
    /// Of an address where no server is.
    pub(crate) down: Arc<dyn Store>,
    pub(crate) clients: Clients,
    pub(crate) redis_url: String,
    memcached_addr: String,
    servers: Mutex<Option<(RedisServer, MemcachedServer)>>,
}

/// What reads by hand.
pub(crate) struct Clients {
    pub(crate) fred: Fred,
    pub(crate) with_generation: Fred,
    /// It reads for all tasks that wait by one command.
    pub(crate) batched: Fred,
    pub(crate) redis_rs: RedisRs,
    /// It writes each request alone.
    pub(crate) single: Socket,
    /// It writes all requests that are queued at once.
    pub(crate) combined: Socket,
    pub(crate) async_memcached: AsyncMemcached,
}

impl Setting {
    fn new() -> Self {
        let servers = (RedisServer::start(), MemcachedServer::start_with(&["-m", "512"]));
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
            servers: Mutex::new(Some(servers)),
        }
    }

    /// Connects other clients, on the current runtime.
    pub(crate) async fn connect(&self) -> Clients {
        Clients::connect(&self.redis_url, &self.memcached_addr).await
    }

    /// Returns the commands that Redis has executed and the keys that were read from Memcached, which counts keys.
    pub(crate) fn reads(&self) -> u64 {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let (redis, memcached) = servers.as_ref().unwrap();
        let of_redis = redis.command(&["INFO", "commandstats"]);
        let of_redis = of_redis.lines().filter(|line| !line.starts_with("cmdstat_info"));
        let calls = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok();
        let of_memcached = memcached.stat("cmd_get");
        of_redis.filter_map(calls).sum::<u64>() + of_memcached
    }

    /// Stops the servers: a static is not dropped.
    pub(crate) fn stop(&self) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Clients {
    async fn connect(redis_url: &str, memcached_addr: &str) -> Self {
        Self {
            fred: Fred::connect(redis_url, Reads::Value).await,
            with_generation: Fred::connect(redis_url, Reads::WithGeneration).await,
            batched: Fred::connect_batched(redis_url).await,
            redis_rs: RedisRs::connect(redis_url).await,
            single: Socket::connect(memcached_addr, Grouping::Single).await,
            combined: Socket::connect(memcached_addr, Grouping::Combined).await,
            async_memcached: AsyncMemcached::connect(memcached_addr).await,
        }
    }
}
