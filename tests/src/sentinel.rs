//! Two redis-servers, a primary and its replica, and the sentinel that knows which is which.

use std::thread;
use std::time::{Duration, Instant};

use crate::server::RedisServer;

/// A primary that can be replaced by its replica. The servers are killed when this is dropped.
#[derive(Debug)]
pub struct WatchedRedis {
    servers: [RedisServer; 2],
    sentinel: RedisServer,
}

impl WatchedRedis {
    /// Starts the servers, of which the first is the primary, and waits until the second could replace it.
    #[must_use]
    pub fn start() -> Self {
        let servers = [0; 2].map(|_| RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]));
        let sentinel = RedisServer::start_sentinel();
        let watched = Self { servers, sentinel };
        let [primary, replica] = &watched.servers;
        let port = primary.port().to_string();
        assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        wait_until("the replica follows", || {
            replica.command(&["INFO", "replication"]).contains("master_link_status:up")
        });
        assert_eq!(watched.sentinel.command(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "1"]), "OK");
        wait_until("the sentinel knows the replica", || {
            watched.sentinel.command(&["SENTINEL", "MASTER", NAME]).contains("num-slaves\n1")
        });
        watched
    }

    /// `redis-sentinel://127.0.0.1:1?sentinelServiceName=main`
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis-sentinel://{}?sentinelServiceName={NAME}", self.sentinel.addr())
    }

    /// Both servers, of which the first was the primary at the start.
    #[must_use]
    pub const fn servers(&self) -> &[RedisServer; 2] {
        &self.servers
    }

    /// Has the sentinel replace the primary, as before maintenance, and returns when it names the other one. The old primary
    /// goes on as one for about ten seconds.
    pub fn fail_over(&self) {
        let before = self.primary_port();
        // It is refused while the sentinel does not know the replica well enough.
        wait_until("the failover begins", || self.sentinel.command(&["SENTINEL", "FAILOVER", NAME]) == "OK");
        wait_until("there is another primary", || self.primary_port() != before);
    }

    fn primary_port(&self) -> Option<u16> {
        self.sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).lines().nth(1)?.parse().ok()
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "not within 30 s: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What the sentinel calls the primary.
const NAME: &str = "main";
