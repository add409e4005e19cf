//! What the removal of expired entries costs in the background.

use std::time::{Duration, Instant};

use cached_benches::clock::cpu_of_process;
use cached_benches::report::Row;
use cached_benches::rounds::Value;
use cached_runtime::async_cached;
use moka::future::Cache;
use tokio::runtime::Builder;
use tokio::time::{interval, sleep};

const HELD: u64 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);

#[async_cached(ttl_from = |n: &u64| if *n < HELD { 3_600 * SECOND } else { SECOND }, capacity = 2_000_000)]
async fn held(n: u64) -> u64 {
    n
}

#[async_cached(ttl = 10, capacity = 2_000_000)]
async fn together(n: u64) -> u64 {
    n
}

pub(crate) fn rows() -> Vec<Row> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (held, together) = (runtime.block_on(beside_held()), runtime.block_on(all_together()));
    let row = |work: &str, figure, ours: f64, moka: Option<f64>| Row {
        work: work.into(),
        figure,
        values: vec![None, Some(ours.into()), None, moka.map(Value::from)],
        tolerance: Some(1.5),
    };
    let (beside, million) =
        ("200 short-lived entries a second beside a million", "a million that expire together");
    vec![
        row(beside, "CPU, ms a second", held.0, Some(held.1)),
        row(million, "CPU of the removal, s", together.0, None),
        row(million, "until they are gone, s", together.1, None),
    ]
}

/// Returns the CPU milliseconds a second of ours and of moka, with those of the insertions, without those of the timer.
async fn beside_held() -> (f64, f64) {
    let idle = cpu_a_second(async |_| ()).await;
    for n in 0..HELD {
        held(n).await;
    }
    let ours = cpu_a_second(async |n| _ = held(n).await).await;
    let moka = Cache::builder().max_capacity(2 * HELD).expire_after(Lifetimes).build();
    for n in 0..HELD {
        moka.insert(n, n).await;
    }
    (ours - idle, cpu_a_second(async |n| moka.insert(n, n).await).await - idle)
}

struct Lifetimes;

impl moka::Expiry<u64, u64> for Lifetimes {
    fn expire_after_create(&self, n: &u64, _: &u64, _: Instant) -> Option<Duration> {
        Some(if *n < HELD { 3_600 * SECOND } else { SECOND })
    }
}

async fn cpu_a_second(insert: impl AsyncFn(u64)) -> f64 {
    const SECONDS: u64 = 30;
    let mut ticks = interval(Duration::from_millis(5));
    let before = cpu_of_process();
    for n in 0..SECONDS * 200 {
        ticks.tick().await;
        insert(HELD + n).await;
    }
    (cpu_of_process() - before) * 1_000.0 / SECONDS as f64
}

/// Returns the CPU seconds that the removal of a million entries takes, and the seconds from the last expiry to it.
async fn all_together() -> (f64, f64) {
    for n in 0..HELD {
        together(n).await;
    }
    let last_expiry = Instant::now() + 10 * SECOND;
    let before = cpu_of_process();
    while together::stats().entries > 0 {
        sleep(Duration::from_millis(20)).await;
    }
    let cpu = cpu_of_process() - before;
    (cpu, last_expiry.elapsed().as_secs_f64())
}
