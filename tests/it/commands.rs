//! The cost of a call to a shared store: commands, as the server counts them, and round trips.
//!
//! The test prints the table and checks that the README contains it.

use std::fmt::Write as _;
use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Result, Store, async_cached, expire_tag, invalidate_tag};
use cached_tests::in_own_process;
use cached_tests::proxy::Proxy;
use cached_tests::server::{MemcachedServer, RedisServer};

use crate::support::{SOON, memcached_at, redis_at};

/// The measured operations.
const OPERATIONS: [&str; 11] = [
    "a hit",
    "a hit, of a function with two static tags",
    "a miss: the lease, and the value",
    "the same, of a function with two static tags that are in use",
    "`invalidate`",
    "`invalidate_tag`",
    "`expire_tag`",
    "`expire`",
    "`expire`, of a function with a `stale_…` option",
    "`put`",
    "`clear`",
];

/// How often each operation is measured, on a key of its own. The least cost counts, because other commands may reach
/// the server meanwhile, such as a health check.
const TIMES: u64 = 7;

/// The cost of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    commands: u64,
    round_trips: u64,
}

/// A server that reports how many commands it was sent. The commands of a script do not count.
trait Server {
    /// Returns the number of commands since the last call.
    fn commands(&mut self) -> u64;
}

/// In a process of its own, because the servers count every invalidation of a tag in the process.
#[tokio::test]
async fn the_table_in_the_readme_is_right() {
    in_own_process!();
    let (mut redis, mut memcached) =
        (Monitored::new(RedisServer::start()), Logging::new(MemcachedServer::start_with(&["-vv"])));
    let proxies = [Proxy::start(&redis.server.addr()), Proxy::start(&memcached.server.addr())];
    let store = redis_at(&format!("redis://{}", proxies[0].addr()), SOON);
    let in_redis = in_redis::costs(store, &mut redis, &proxies[0]).await;
    let store = memcached_at(&proxies[1].addr(), SOON);
    let in_memcached = in_memcached::costs(store, &mut memcached, &proxies[1]).await;

    let mut table = "| | Redis: commands | round trips | Memcached: commands | round trips |\n".to_owned();
    table += "|---|---|---|---|---|\n";
    for (operation, (redis, memcached)) in OPERATIONS.iter().zip(in_redis.iter().zip(&in_memcached)) {
        let _ = writeln!(
            table,
            "| {operation} | {} | {} | {} | {} |",
            redis.commands, redis.round_trips, memcached.commands, memcached.round_trips
        );
    }
    println!("{table}");
    let once = |commands| Cost { commands, round_trips: 1 };
    for costs in [&in_redis, &in_memcached] {
        assert_eq!(costs[..2], [once(1); 2], "a hit is one command");
        assert!(costs[2].commands <= 3, "a miss is at most three commands");
    }
    assert!(include_str!("../../README.md").contains(&table), "the table in the README is out of date");
}

macro_rules! functions {
    ($backend:ident) => {
        mod $backend {
            use super::*;

            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
            async fn plain(key: u64) -> u64 {
                key
            }

            #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()), tags("odd:{is_odd}", TAG))]
            async fn tagged(is_odd: bool, key: u64) -> u64 {
                key + u64::from(is_odd)
            }

            /// Shares its store, so that an invalidated tag is written to the store once.
            #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()), tags(TAG))]
            async fn tagged_too(key: u64) -> u64 {
                key
            }

            #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()), stale_if_error = "1m")]
            async fn stale(key: u64) -> std::result::Result<u64, ()> {
                Ok(key)
            }

            const TAG: &str = concat!(module_path!(), " a tag");

            pub(super) async fn costs(
                store: impl Store,
                server: &mut dyn Server,
                proxy: &Proxy,
            ) -> [Cost; OPERATIONS.len()] {
                assert!(STORE.set(Arc::new(store)).is_ok(), "one test, one store");
                // Loads the scripts and creates the generations.
                for key in 0..TIMES {
                    plain(key).await;
                    tagged(false, key).await;
                    tagged_too(key).await;
                    stale(key).await.unwrap();
                }
                plain::put(TIMES, 0).await.unwrap();
                stale::expire(TIMES).await.unwrap();
                let new = |key| key + 1_000;
                [
                    cost(server, proxy, async |key| {
                        let _ = plain(key).await;
                    })
                    .await,
                    cost(server, proxy, async |key| {
                        let _ = tagged(false, key).await;
                    })
                    .await,
                    cost(server, proxy, async |key| {
                        let _ = plain(new(key)).await;
                    })
                    .await,
                    cost(server, proxy, async |key| {
                        let _ = tagged(false, new(key)).await;
                    })
                    .await,
                    cost(server, proxy, async |key| done(plain::invalidate(key)).await).await,
                    cost(server, proxy, async |_| done(invalidate_tag(TAG)).await).await,
                    {
                        let _ = tagged(false, 0).await; // so that the tag is in use
                        cost(server, proxy, async |_| done(expire_tag(TAG)).await).await
                    },
                    cost(server, proxy, async |key| done(plain::expire(new(key))).await).await,
                    cost(server, proxy, async |key| done(stale::expire(key)).await).await,
                    cost(server, proxy, async |key| done(plain::put(key, key)).await).await,
                    cost(server, proxy, async |_| done(plain::clear()).await).await,
                ]
            }
        }
    };
}
functions!(in_redis);
functions!(in_memcached);

async fn done(change: impl Future<Output = Result<()>>) {
    change.await.unwrap();
}

/// Returns the cost of an operation, measured on one key after the other.
async fn cost(server: &mut dyn Server, proxy: &Proxy, operation: impl AsyncFn(u64)) -> Cost {
    let mut costs = Vec::new();
    for key in 0..TIMES {
        server.commands();
        let before = proxy.round_trips();
        operation(key).await;
        // Commands of background tasks count too.
        tokio::time::sleep(Duration::from_millis(20)).await;
        costs.push((server.commands(), proxy.round_trips() - before));
    }
    let least = |of: fn(&(u64, u64)) -> u64| costs.iter().map(of).min().unwrap();
    Cost { commands: least(|cost| cost.0), round_trips: least(|cost| cost.1) }
}

/// A Redis server that shows every command with `MONITOR`.
struct Monitored {
    server: RedisServer,
    shown: BufReader<TcpStream>,
    questions: u64,
}

impl Monitored {
    fn new(server: RedisServer) -> Self {
        let mut connection = TcpStream::connect(server.addr()).unwrap();
        connection.set_read_timeout(Some(SOON)).unwrap();
        connection.write_all(b"MONITOR\r\n").unwrap();
        let mut shown = BufReader::new(connection);
        let mut line = String::new();
        shown.read_line(&mut line).unwrap();
        assert_eq!(line, "+OK\r\n");
        Self { server, shown, questions: 0 }
    }
}

impl Server for Monitored {
    fn commands(&mut self) -> u64 {
        self.questions += 1;
        let question = format!("question {}", self.questions);
        assert_eq!(self.server.command(&["ECHO", &question]), question);
        let mut commands = 0;
        loop {
            let mut line = String::new();
            self.shown.read_line(&mut line).unwrap();
            if line.contains(&question) {
                return commands;
            }
            // The commands of a script are shown like this: `+1700000000.123456 [0 lua] "GET" "key"`.
            commands += u64::from(!line.contains("lua] "));
        }
    }
}

/// A Memcached server that logs every command. Its counters would count keys.
struct Logging {
    server: MemcachedServer,
    before: usize,
}

impl Logging {
    fn new(server: MemcachedServer) -> Self {
        Self { server, before: 0 }
    }
}

impl Server for Logging {
    fn commands(&mut self) -> u64 {
        const COMMANDS: [&str; 4] = ["get", "mg", "ms", "md"];
        let log = self.server.log();
        // A line is `<27 get key another`: the connection, then the command.
        let command = |line: &str| line.strip_prefix('<')?.split(' ').nth(1).map(str::to_owned);
        let new: Vec<_> = log[self.before..].lines().filter_map(command).collect();
        self.before = log.len();
        new.iter().filter(|command| COMMANDS.contains(&command.as_str())).count() as u64
    }
}
