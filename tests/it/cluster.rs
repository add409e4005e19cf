//! A Redis Cluster of several masters: every key is a hit on its node, and a failover costs a while and no more.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Redis, RedisConfig, Store, async_cached};
use cached_tests::cluster::RedisCluster;
use cached_tests::runs::Runs;
use cached_tests::server::RedisServer;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::servers::eventually;

const KEYS: u64 = 60;
/// What one call may take on a busy machine, however the servers behave.
const BOUND: Duration = Duration::from_secs(5);

fn store_on(cluster: &RedisCluster, deadline: Duration) -> Arc<dyn Store> {
    let config = RedisConfig::new(cluster.url()).deadline(deadline).connect_timeout(deadline);
    Arc::new(Redis::new(config).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_on_every_master_are_hits() {
    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();
    static RUNS: Runs = Runs::new();

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn double(number: u64) -> u64 {
        yield_now().await;
        RUNS.next();
        2 * number
    }

    let cluster = RedisCluster::start(3, 0);
    STORE.get_or_init(|| store_on(&cluster, Duration::from_secs(10)));
    // Redis 6.2 counts all subcommands together, and the test has used some.
    let asked_for_slots = |master: &RedisServer| master.calls("cluster|slots") + master.calls("cluster");
    let asked_before: Vec<_> = cluster.masters().iter().map(asked_for_slots).collect();
    for round in 1..=3 {
        for number in 0..KEYS {
            assert_eq!(double(number).await, 2 * number);
        }
        let stats = double::stats();
        assert_eq!((RUNS.count(), stats.shared_hits, stats.store_errors), (KEYS, (round - 1) * KEYS, 0));
    }
    for (master, asked_before) in cluster.masters().iter().zip(asked_before) {
        assert!(master.calls("evalsha") > 0, "{} has a part of the keys", master.addr());
        // Each script is unknown once, and all but the first command of a connection are at the right node.
        assert!(asked_for_slots(master) - asked_before < 10);
    }

    double::invalidate(7).await.unwrap();
    assert_eq!(double::peek(7).await, None);
    assert_eq!(double(7).await, 14);
    assert_eq!(RUNS.count(), KEYS + 1);
}

#[tokio::test]
async fn contract_is_kept_by_three_masters() {
    let cluster = RedisCluster::start(3, 0);
    let config = || RedisConfig::new(cluster.url()).deadline(BOUND).connect_timeout(BOUND);
    for config in [config(), config().distrust_restarts()] {
        cached_runtime::contract::check(&Redis::new(config).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_of_one_master_is_survived() {
    static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

    #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
    async fn triple(number: u64) -> u64 {
        yield_now().await;
        3 * number
    }

    let mut cluster = RedisCluster::start(3, 1);
    STORE.get_or_init(|| store_on(&cluster, Duration::from_millis(500)));
    let round = async || {
        for number in 0..KEYS {
            assert_eq!(timeout(BOUND, triple(number)).await, Ok(3 * number), "every call is answered");
        }
    };
    let all_hit = async || {
        let before = triple::stats();
        round().await;
        let after = triple::stats();
        after.shared_hits - before.shared_hits == KEYS
    };
    eventually("the keys are stored", all_hit).await;

    cluster.master_mut(0).kill();
    let until = Instant::now() + Duration::from_secs(60);
    while !all_hit().await {
        assert!(Instant::now() < until, "hits again after the failover");
    }
    RedisCluster::wait_for_master(&cluster.replicas()[0]);
}
