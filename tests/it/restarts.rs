//! What a Redis may take back, and that a store that distrusts restarts does not return it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{Key, LeaseMode, Redis, RedisConfig, Store, async_cached};
use cached_tests::cluster::RedisCluster;
use cached_tests::server::RedisServer;

use crate::servers::eventually;
use crate::support::acquire;

const DEADLINE: Duration = Duration::from_secs(2);

fn config(url: String) -> RedisConfig {
    RedisConfig::new(url).deadline(DEADLINE).connect_timeout(DEADLINE)
}

fn distrustful(url: String) -> Arc<dyn Store> {
    Arc::new(Redis::new(config(url).distrust_restarts()).unwrap())
}

/// A function `version` of the current version of what it reads, on a store of its own.
macro_rules! version {
    ($store:expr) => {
        static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
        static VERSION: AtomicU64 = AtomicU64::new(1);

        #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
        async fn version(id: u64) -> (u64, u64) {
            tokio::task::yield_now().await;
            (id, VERSION.load(SeqCst))
        }

        STORE.get_or_init(|| $store);
    };
}

/// Waits until a replica has as many keys as its primary.
async fn has_all(replica: &RedisServer, primary: &RedisServer) {
    eventually("the replica has it all", async || {
        replica.command(&["DBSIZE"]) == primary.command(&["DBSIZE"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_from_a_snapshot_brings_back_an_invalidated_value_by_default() {
    let mut server = RedisServer::start();
    version!(Arc::new(Redis::new(config(server.url())).unwrap()));
    assert_eq!(version(1).await, (1, 1));
    assert_eq!(server.command(&["SAVE"]), "OK");
    VERSION.store(2, SeqCst);
    version::invalidate(1).await.unwrap();
    server.restart();
    eventually("the old value is back, as the guide says", async || version::peek(1).await == Some((1, 1)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restart_from_a_snapshot_is_cold_if_restarts_are_distrusted() {
    let mut server = RedisServer::start();
    version!(distrustful(server.url()));
    for id in 0..20 {
        assert_eq!(version(id).await, (id, 1));
        assert_eq!(version(id).await, (id, 1));
    }
    assert_eq!((version::stats().shared_hits, version::stats().computed), (20, 20));
    assert_eq!(server.command(&["SAVE"]), "OK");
    VERSION.store(2, SeqCst);
    for id in 0..20 {
        version::invalidate(id).await.unwrap();
    }
    server.restart(); // `kill -9`
    assert_ne!(server.command(&["DBSIZE"]), "0", "the snapshot was loaded");
    for id in 0..20 {
        assert_eq!(version(id).await, (id, 2));
    }
    eventually("it is used again", async || {
        let before = version::stats().shared_hits;
        assert_eq!(version(1).await, (1, 2));
        version::stats().shared_hits > before
    })
    .await;
}

/// Large values are read by other commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_from_a_snapshot_are_not_found_if_restarts_are_distrusted() {
    const SIZE: usize = 2_000_000;
    let mut server = RedisServer::start();
    let store = distrustful(server.url());
    let keys = [1, 2].map(|n| Key::new("large", &n).unwrap());
    let read = async || {
        store
            .get_large(&keys, SIZE)
            .await
            .map(|values| values.iter().map(|value| value.as_ref().map(Bytes::len)).collect::<Vec<_>>())
    };
    let lease = acquire(&*store, &keys[0], DEADLINE, LeaseMode::IfAbsent).await.unwrap();
    assert!(store.fill(&keys[0], lease, vec![b'v'; SIZE].into(), Duration::from_secs(600)).await.unwrap());
    assert_eq!(read().await.unwrap(), [Some(SIZE), None]);
    assert_eq!(store.size_of(&keys[0]).await.unwrap(), SIZE);
    assert_eq!(server.command(&["SAVE"]), "OK");
    server.restart();
    assert_ne!(server.command(&["DBSIZE"]), "0", "the snapshot was loaded");
    eventually("the server is used again", async || read().await.is_ok()).await;
    assert_eq!(read().await.unwrap(), [None, None]);
    assert_eq!(store.size_of(&keys[0]).await.unwrap(), 0);
}

/// The connection is made, and lost, while calls go on: none of them uses a name of another server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_during_restarts_return_no_invalidated_value() {
    let mut server = RedisServer::start();
    version!(distrustful(server.url()));
    for current in 1..=5 {
        VERSION.store(current, SeqCst);
        eventually("it is stored", async || {
            let before = version::stats().shared_hits;
            for id in 0..10 {
                assert_eq!(version(id).await, (id, current));
            }
            version::stats().shared_hits == before + 10
        })
        .await;
        assert_eq!(server.command(&["SAVE"]), "OK");
        for id in 0..10 {
            version::invalidate(id).await.unwrap();
        }
        VERSION.store(current + 1, SeqCst);
        let calls = tokio::spawn(async move {
            loop {
                for id in 0..10 {
                    assert_eq!(version(id).await, (id, current + 1));
                }
                tokio::task::yield_now().await;
            }
        });
        server.restart();
        eventually("hits again", async || version::peek(1).await.is_some()).await;
        calls.abort();
        assert!(calls.await.unwrap_err().is_cancelled(), "no call returned an old value");
        for id in 0..10 {
            let _ = version::invalidate(id).await;
        }
    }
}

/// A primary is replaced by its replica and comes back, without a restart of either, as on a planned failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_and_failback_are_cold_if_restarts_are_distrusted() {
    let (a, b) = (RedisServer::start(), RedisServer::start());
    let follow = |replica: &RedisServer, primary: &RedisServer| {
        assert_eq!(replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]), "OK");
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while !replica.command(&["INFO", "replication"]).contains("master_link_status:up") {
            assert!(std::time::Instant::now() < until, "the replica does not follow");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    follow(&b, &a);
    version!(distrustful(a.url()));
    assert_eq!(version(1).await, (1, 1));
    has_all(&b, &a).await;

    // The replica is promoted without the invalidation, and the old primary has to take over what it has.
    assert_eq!(b.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    version::invalidate(1).await.unwrap();
    VERSION.store(2, SeqCst);
    follow(&a, &b);
    assert_eq!(a.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    assert!(a.command(&["DBSIZE"]).parse::<u64>().unwrap() > 1, "the old value is back");
    assert_eq!(version(1).await, (1, 2));
    eventually("it is used again", async || version::peek(1).await == Some((1, 2))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promoted_replica_in_a_cluster_is_cold_if_restarts_are_distrusted() {
    const IDS: u64 = 30;
    let mut cluster = RedisCluster::start(3, 1);
    version!(distrustful(cluster.url()));
    for id in 0..IDS {
        assert_eq!(version(id).await, (id, 1));
        assert_eq!(version(id).await, (id, 1));
    }
    assert_eq!((version::stats().shared_hits, version::stats().computed), (IDS, IDS));
    has_all(&cluster.replicas()[0], &cluster.masters()[0]).await;

    // The replica gets nothing from here on, and so not the invalidations.
    cluster.replicas()[0].stop();
    assert_eq!(cluster.masters()[0].command(&["CLIENT", "KILL", "TYPE", "replica"]), "1");
    VERSION.store(2, SeqCst);
    for id in 0..IDS {
        version::invalidate(id).await.unwrap();
    }
    cluster.master_mut(0).kill();
    cluster.replicas()[0].cont();
    RedisCluster::wait_for_master(&cluster.replicas()[0]);
    assert_ne!(cluster.replicas()[0].command(&["DBSIZE"]), "0", "it has what was invalidated");
    eventually("every key is used again", async || {
        let before = version::stats().shared_hits;
        for id in 0..IDS {
            assert_eq!(version(id).await, (id, 2));
        }
        version::stats().shared_hits == before + IDS
    })
    .await;
}

#[tokio::test]
async fn many_keys_are_read_at_once_if_restarts_are_distrusted() {
    let server = RedisServer::start();
    let store =
        Redis::new(config(server.url()).deadline(Duration::from_secs(20)).distrust_restarts()).unwrap();
    let keys: Vec<_> = (0..20_000).map(|n| Key::new("many", &n).unwrap()).collect();
    store.put(&keys[19_999], "last".into(), None).await.unwrap();
    let values = store.get(&keys).await.unwrap();
    assert_eq!((values.len(), values.iter().flatten().count()), (20_000, 1));
    assert_eq!(values[19_999], Some("last".into()));
}

#[tokio::test]
async fn store_that_distrusts_restarts_keeps_the_contract() {
    let server = RedisServer::start();
    let store = Redis::new(config(server.url()).distrust_restarts()).unwrap();
    cached_runtime::contract::check(&store).await;
}
