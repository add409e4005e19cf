//! What the two servers have in common, so that a test is written once and run against each.

use std::sync::Arc;
use std::time::Duration;

use cached_runtime::{Memcached, MemcachedConfig, Redis, RedisConfig, Store};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::time::{Instant, sleep};

/// A server of the test's own, of either kind.
pub(crate) trait Server: Send + Sized {
    /// The other kind.
    type Other: Server;
    fn start() -> Self;
    /// A store that is reached at this address, and that waits so long for each operation.
    fn store_at(address: &str, deadline: Duration) -> Arc<dyn Store>;
    fn address(&self) -> String;
    fn kill(&mut self);
    fn stop(&self);
    fn go_on(&self);
    fn restart(&mut self);
    /// The names of all that it holds, without the prefix and what else the store puts around a key.
    fn keys(&self) -> Vec<String>;
    /// Writes under such a name.
    fn write(&self, key: &str, text: &str);

    /// A store that gives up soon, but not on a server that is only slow because of the other tests.
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

    fn go_on(&self) {
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

    fn write(&self, key: &str, text: &str) {
        assert_eq!(self.command(&["SET", &format!("cached:{{{key}}}"), text]), "OK");
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

    fn go_on(&self) {
        self.cont();
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn keys(&self) -> Vec<String> {
        // The classes of small items; enough for what tests have.
        let dump: String = (1..16).map(|class| self.command(&format!("stats cachedump {class} 0"))).collect();
        dump.lines()
            .filter_map(|line| line.split_once("ITEM cached:")?.1.split(' ').next())
            .map(Into::into)
            .collect()
    }

    fn write(&self, key: &str, text: &str) {
        assert_eq!(self.command(&format!("set cached:{key} 0 0 {}\r\n{text}", text.len())), "STORED");
    }
}

/// Waits for what is not announced.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let until = Instant::now() + Duration::from_secs(15);
    while !holds().await {
        assert!(Instant::now() < until, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
