//! Replies that are lost, repeated or reordered on the way: no call gets the value of another key, and calls hit again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cached_runtime::{Key, Stats, Store, async_cached};
use cached_tests::proxy::{Disturbance, Proxy};
use cached_tests::server::{MemcachedServer, RedisServer};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::servers::{Server, eventually};

const TASKS: u64 = 50;
const KEYS: u64 = 200;

/// One test of each disturbance for each kind of server, with a function and a store of its own.
macro_rules! disturbances {
    ($($test:ident: $disturbance:ident,)*) => {$(
        mod $test {
            use super::*;

            disturbances!(of $disturbance: redis, RedisServer);
            disturbances!(of $disturbance: memcached, MemcachedServer);
        }
    )*};
    (of $disturbance:ident: $kind:ident, $server:ty) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $kind() {
            static STORE: OnceLock<Arc<dyn Store>> = OnceLock::new();

            #[async_cached(ttl = 600, backend = Arc::clone(STORE.get().unwrap()))]
            async fn square(number: u64) -> u64 {
                tokio::task::yield_now().await;
                number * number
            }

            let server = <$server>::start();
            let proxy = Proxy::start(&server.address());
            STORE.get_or_init(|| <$server>::store_at(&proxy.addr(), Duration::from_millis(500)));
            let _pipelined = read_directly(STORE.get().unwrap());
            let under_load = UnderLoad::start(|number| Box::pin(square(number)), square::stats);
            for _ in 0..3 {
                under_load.hits().await;
                proxy.disturb(Disturbance::$disturbance);
                eventually("a reply is disturbed", async || proxy.is_disturbed()).await;
            }
            under_load.hits().await;
            under_load.end().await;
        }
    };
}

disturbances! {
    a_lost_reply: Lose,
    a_repeated_reply: Repeat,
    two_swapped_replies: Swap,
}

/// Starts tasks that read from the store beside the calls, so that several replies are on the way at a time: calls read in
/// batches.
fn read_directly(store: &Arc<dyn Store>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let key = [Key::new("directly", &number).unwrap()];
            loop {
                if store.get(&key).await.is_err() {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        });
    }
    tasks
}

/// Tasks that call a function all the time and check what it returns.
struct UnderLoad {
    calls: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    stats: fn() -> Stats,
}

impl UnderLoad {
    fn start(square: fn(u64) -> cached_runtime::BoxFuture<'static, u64>, stats: fn() -> Stats) -> Self {
        let (calls, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (calls, is_over) = (Arc::clone(&calls), Arc::clone(&is_over));
            tasks.spawn(async move {
                let mut number = task;
                while !is_over.load(Relaxed) {
                    assert_eq!(square(number).await, number * number, "never the value of another key");
                    calls.fetch_add(1, Relaxed);
                    number = (number + 7) % KEYS;
                }
            });
        }
        Self { calls, is_over, tasks, stats }
    }

    /// Waits until nearly all calls are hits.
    async fn hits(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let (calls, hits) = (self.calls.load(Relaxed), (self.stats)().shared_hits);
            while self.calls.load(Relaxed) < calls + 10 * TASKS && Instant::now() < until {
                sleep(Duration::from_millis(1)).await;
            }
            let calls = self.calls.load(Relaxed) - calls;
            let hits = (self.stats)().shared_hits - hits;
            // Calls that read a key at the same time share a hit or follow each other.
            if calls >= 10 * TASKS && hits * 10 >= calls * 8 {
                return;
            }
            assert!(Instant::now() < until, "{hits} hits of {calls} calls: {:?}", (self.stats)());
        }
    }

    async fn end(mut self) {
        self.is_over.store(true, Relaxed);
        while let Some(task) = self.tasks.join_next().await {
            task.unwrap();
        }
    }
}
