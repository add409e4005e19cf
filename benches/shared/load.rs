//! Thousands of callers at once on a healthy server: which of them are answered from the store, and whose values are stored.

use std::ops::Range;

use cached_runtime::Stats;
use tokio::task::JoinSet;

/// Prints the counts for one backend.
pub(crate) async fn run<F>(backend: &str, call: fn(u64) -> F, stats: fn() -> Stats)
where
    F: Future<Output = u64> + Send + 'static,
{
    store(0..1_000, call).await;
    let before = stats();
    let mut tasks = JoinSet::new();
    for task in 0..5_000 {
        tasks.spawn(async move {
            for round in 0..20 {
                call((task + 7 * round) % 1_000).await;
            }
        });
    }
    tasks.join_all().await;
    let looping = hits_since(&before, stats);

    store(100_000..150_000, call).await;
    let before = stats();
    at_once(100_000..150_000, call).await;
    let burst = hits_since(&before, stats);

    at_once(200_000..210_000, call).await;
    let before = stats();
    store(200_000..210_000, call).await;
    let cold = hits_since(&before, stats);
    println!("| {backend} | {looping} of 100000 | {burst} of 50000 | {cold} of 10000 |");
    println!("<!-- {:?} -->", stats());
}

fn hits_since(before: &Stats, stats: fn() -> Stats) -> u64 {
    stats().shared_hits - before.shared_hits
}

/// Calls a function with all keys, some at a time.
async fn store<F>(keys: Range<u64>, call: fn(u64) -> F)
where
    F: Future<Output = u64> + Send + 'static,
{
    for start in keys.clone().step_by(200) {
        at_once(start..(start + 200).min(keys.end), call).await;
    }
}

/// Calls a function with all keys at once, each in a task.
async fn at_once<F>(keys: Range<u64>, call: fn(u64) -> F)
where
    F: Future<Output = u64> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for key in keys {
        tasks.spawn(async move { call(key).await });
    }
    tasks.join_all().await;
}
