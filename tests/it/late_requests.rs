//! Requests that reach the server after they were given up, over a connection that this process no longer uses, as behind
//! a balancer: they undo nothing that was confirmed since.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Store, async_cached};
use cached_tests::proxy::Proxy;
use cached_tests::server::{MemcachedServer, RedisServer};

use crate::servers::eventually;
use crate::support::{memcached_at, redis_at, until};

const DEADLINE: Duration = Duration::from_millis(300);

/// Returns how many connections a server has.
fn connections_of_redis(server: &RedisServer) -> u64 {
    let info = server.command(&["INFO", "clients"]);
    let (_, number) = info.split_once("connected_clients:").unwrap();
    number.split_whitespace().next().unwrap().parse().unwrap()
}

fn connections_of_memcached(server: &MemcachedServer) -> u64 {
    server.stat("curr_connections")
}

macro_rules! late_requests {
    ($($backend:ident: $server:ty, $connect:expr, $connections:ident;)*) => {$(
        mod $backend {
            use super::*;

            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            fn store() -> Arc<dyn Store> {
                Arc::clone(STORE.get().unwrap())
            }

            #[async_cached(ttl = 600, backend = store())]
            async fn value(key: u64) -> String {
                format!("computed {key}")
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_late_put_undoes_nothing() {
                let server = <$server>::start();
                let proxy = Proxy::start(&server.addr());
                let _ = STORE.set(Arc::new($connect(&proxy.addr())));
                for (key, text) in [(1, "given up 1"), (2, "given up 2")] {
                    assert_eq!(value(key).await, format!("computed {key}"));
                    proxy.keep(text);
                    value::put(key, text.to_owned()).await.unwrap_err();
                    until("the put is on its way", || proxy.is_keeping()).await;
                    let expected = if key == 1 {
                        eventually("the invalidation is confirmed", async || {
                            value::invalidate(key).await.is_ok()
                        })
                        .await;
                        format!("computed {key}")
                    } else {
                        eventually("the new value is stored", async || {
                            value::put(key, "put".to_owned()).await.is_ok()
                        })
                        .await;
                        "put".to_owned()
                    };
                    assert_eq!(value(key).await, expected);
                    let before = $connections(&server);
                    proxy.deliver();
                    // The server closes the connection after it has executed what came over it.
                    until("the late put was executed", || $connections(&server) < before).await;
                    assert_eq!(value(key).await, expected, "it was undone");
                }
            }
        }
    )*};
}

late_requests! {
    redis: RedisServer, |addr: &str| redis_at(&format!("redis://{addr}"), DEADLINE), connections_of_redis;
    memcached: MemcachedServer, |addr: &str| memcached_at(addr, DEADLINE), connections_of_memcached;
}
