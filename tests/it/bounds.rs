//! What is bounded under traffic while a store fails: tasks.

use std::sync::Arc;
use std::sync::OnceLock;

use cached_runtime::{Store, async_cached};
use cached_tests::server::RedisServer;
use tokio::runtime::Handle;

use crate::support::{LONG_DEADLINE, redis_at, until};

/// A Redis that rejects writes, because it replicates another.
struct Replica {
    _primary: RedisServer,
    server: RedisServer,
}

impl Replica {
    fn start() -> Self {
        let (primary, server) = (RedisServer::start(), RedisServer::start());
        assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]), "OK");
        Self { _primary: primary, server }
    }

    async fn has_synchronized(&self) {
        until("the replica has synchronized", || {
            self.server.command(&["INFO", "replication"]).contains("master_link_status:up")
        })
        .await;
    }
}

mod pending_invalidation {
    use super::*;

    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn load(key: u64) -> u64 {
        key
    }

    /// 200 tasks that call while an invalidation is pending: one task retries it, not one for each call.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_task_retries_under_traffic() {
        let replica = Replica::start();
        replica.has_synchronized().await;
        let _ = STORE.set(Arc::new(redis_at(&replica.server.url(), LONG_DEADLINE)));
        load(0).await;
        load::invalidate(0).await.unwrap_err();
        let before = Handle::current().metrics().num_alive_tasks();
        let callers = (0..200).map(|caller| {
            tokio::spawn(async move {
                for n in 0..50 {
                    load(1_000 * caller + n).await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        let after = Handle::current().metrics().num_alive_tasks();
        assert!(after <= before + 10, "{before} tasks before the calls, {after} after them");
    }
}
