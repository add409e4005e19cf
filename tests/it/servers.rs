//! One interface to Redis and Memcached servers, so that a test is written once and run against each.

use std::sync::Arc;
use std::time::Duration;

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::time::{Instant, sleep};

use crate::support::SOON;

/// A server that belongs to one test.
pub(crate) trait Server: Send + Sized {
    /// The other kind of server.
    type Other: Server;
    fn start() -> Self;
    /// Creates a store on the server at an address, with a deadline for each operation.
    fn store_at(address: &str, deadline: Duration) -> Arc<dyn Store>;
    fn address(&self) -> String;
    fn kill(&mut self);
    fn stop(&self);
    fn cont(&self);
    fn restart(&mut self);
    /// Returns the keys of all items, without the prefix and the braces that the store adds.
    fn keys(&self) -> Vec<String>;
    /// Writes the value of such a key.
    fn write(&self, key: &str, value: &str);

    /// Creates a store with a short deadline that a server busy with other tests still meets.
    fn store(&self) -> Arc<dyn Store> {
        Self::store_at(&self.address(), Duration::from_millis(200))
    }
}

impl Server for RedisServer {
    type Other = MemcachedServer;

    fn start() -> Self {
        Self::start()
    }

    fn store_at(address: &str, deadline: Duration) -> Arc<dyn Store> {
        let config =
            RedisConfig::new(format!("redis://{address}")).deadline(deadline).connect_timeout(deadline);
        Arc::new(Redis::new(config).unwrap())
    }

    fn address(&self) -> String {
        self.addr()
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn stop(&self) {
        self.stop();
    }

    fn cont(&self) {
        self.cont();
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn keys(&self) -> Vec<String> {
        let keys = self.command(&["KEYS", "cached:{*}"]);
        keys.lines()
            .filter_map(|key| key.strip_prefix("cached:{")?.strip_suffix('}'))
            .map(Into::into)
            .collect()
    }

    fn write(&self, key: &str, value: &str) {
        assert_eq!(self.command(&["SET", &format!("cached:{{{key}}}"), value]), "OK");
    }
}

impl Server for MemcachedServer {
    type Other = RedisServer;

    fn start() -> Self {
        Self::start()
    }

    fn store_at(address: &str, deadline: Duration) -> Arc<dyn Store> {
        Arc::new(
            Memcached::new(MemcachedConfig::new(address).deadline(deadline).connect_timeout(deadline))
                .unwrap(),
        )
    }

    fn address(&self) -> String {
        self.addr()
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn stop(&self) {
        self.stop();
    }

    fn cont(&self) {
        self.cont();
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn keys(&self) -> Vec<String> {
        // The slab classes of small items; the tests have no others.
        let dump: String = (1..16).map(|class| self.command(&format!("stats cachedump {class} 0"))).collect();
        dump.lines()
            .filter_map(|line| line.split_once("ITEM cached:")?.1.split(' ').next())
            .map(Into::into)
            .collect()
    }

    fn write(&self, key: &str, value: &str) {
        assert_eq!(self.command(&format!("set cached:{key} 0 0 {}\r\n{value}", value.len())), "STORED");
    }
}

/// Polls a condition until it holds, for what no event announces.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let until = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < until, "timed out: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
