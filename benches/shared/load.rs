//! Thousands of callers at once on a healthy server: which of them are answered from the store, and whose values are stored.

use std::ops::Range;

use cached_benches::report::Row;
use cached_runtime::Stats;
use tokio::task::JoinSet;

use crate::clients::{Client, InMemcached, InRedis, numbers_in_memcached, numbers_in_redis};
use crate::setting::SETTING;

/// Returns, for each backend, the calls of each kind that were computed although their values were stored, and the values
/// that were not stored. None should be; on a machine that is busy for seconds, some are.
pub(crate) fn rows() -> Vec<Row> {
    let of_redis = SETTING.threads.block_on(computed(&InRedis, numbers_in_redis));
    let of_memcached = SETTING.threads.block_on(computed(&InMemcached, numbers_in_memcached));
    let rows = |store: &str, counts: [u64; 3]| {
        let works = ["5 000 tasks in a loop", "a burst of 50 000 calls", "10 000 cold callers"];
        let figures = ["computed of 100 000", "computed of 50 000", "not stored of 10 000"];
        let row = |((work, figure), count)| Row {
            work: format!("{work}, {store}"),
            figure,
            values: vec![None, Some((count as f64).into())],
            tolerance: None,
        };
        works.into_iter().zip(figures).zip(counts).map(row).collect::<Vec<_>>()
    };
    [rows("Redis", of_redis), rows("Memcached", of_memcached)].concat()
}

/// Returns the calls without a hit, of each kind.
async fn computed(client: &impl Client, stats: fn() -> Stats) -> [u64; 3] {
    store(0..1_000, client).await;
    let before = stats();
    let mut tasks = JoinSet::new();
    for task in 0..5_000 {
        let client = client.clone();
        tasks.spawn(async move {
            for round in 0..20 {
                client.number((task + 7 * round) % 1_000).await;
            }
        });
    }
    tasks.join_all().await;
    let looping = hits_since(&before, stats);

    store(100_000..150_000, client).await;
    let before = stats();
    at_once(100_000..150_000, client).await;
    let burst = hits_since(&before, stats);

    at_once(200_000..210_000, client).await;
    let before = stats();
    store(200_000..210_000, client).await;
    let cold = hits_since(&before, stats);
    [100_000 - looping, 50_000 - burst, 10_000 - cold]
}

fn hits_since(before: &Stats, stats: fn() -> Stats) -> u64 {
    stats().shared_hits - before.shared_hits
}

/// Calls with all numbers, some at a time.
async fn store(numbers: Range<u64>, client: &impl Client) {
    for start in numbers.clone().step_by(200) {
        at_once(start..(start + 200).min(numbers.end), client).await;
    }
}

/// Calls with all numbers at once, each in a task.
async fn at_once(numbers: Range<u64>, client: &impl Client) {
    let mut tasks = JoinSet::new();
    for number in numbers {
        let client = client.clone();
        tasks.spawn(async move { client.number(number).await });
    }
    tasks.join_all().await;
}
