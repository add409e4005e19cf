//! Many callers: threads on one key, and tasks that call a cold key at the same time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use cached_benches::report::Row;
use cached_benches::rounds::Value;
use cached_runtime::async_cached;
use tokio::runtime::Builder;

use crate::contenders::{CONTENDERS, Work};

/// The calls of two threads on one key that take as long as those of one thread.
pub(crate) fn threads() -> Vec<Row> {
    const CALLS: usize = 200_000;
    let calls = |run: fn(Work, &mut dyn Iterator<Item = u64>), threads: usize| {
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| run(Work::Number, &mut std::iter::repeat_n(7, CALLS)));
            }
        });
        threads as f64 / begin.elapsed().as_secs_f64()
    };
    let values = CONTENDERS.iter().map(|contender| {
        let best = |threads| (0..31).map(|_| calls(contender.run, threads)).fold(0.0, f64::max);
        Some(Value::from(best(2) / best(1)))
    });
    let figure = "calls a second, × one thread";
    vec![Row {
        work: "hit, two threads on one key".into(),
        figure,
        values: values.collect(),
        tolerance: None,
    }]
}

static COMPUTED: AtomicU64 = AtomicU64::new(0);

async fn slowly(n: u64) -> u64 {
    COMPUTED.fetch_add(1, Relaxed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    n
}

#[async_cached(ttl = "1h")]
async fn ours(n: u64) -> u64 {
    slowly(n).await
}

#[cached::macros::concurrent_cached(max_size = 10_000, ttl_secs = 3_600)]
async fn theirs(n: u64) -> u64 {
    slowly(n).await
}

/// The computations when 10 000 tasks call a cold key.
pub(crate) fn stampede() -> Vec<Row> {
    let moka = moka::future::Cache::builder().max_capacity(10_000).build();
    let by_hand = std::sync::Arc::new(quick_cache::sync::Cache::new(10_000));
    let values = vec![
        Some(computations(move |n| {
            let by_hand = std::sync::Arc::clone(&by_hand);
            async move {
                by_hand.get_or_insert_async(&n, async { Ok::<u64, ()>(slowly(n).await) }).await.unwrap_or(0)
            }
        })),
        Some(computations(ours)),
        Some(computations(theirs)),
        Some(computations(move |n| {
            let moka = moka.clone();
            async move { moka.get_with(n, slowly(n)).await }
        })),
    ];
    let work = "10 000 callers of one cold key".into();
    vec![Row { work, figure: "computations", values, tolerance: Some(1.0) }]
}

fn computations<F: Future<Output = u64> + Send + 'static>(call: impl Fn(u64) -> F) -> Value {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    COMPUTED.store(0, Relaxed);
    runtime.block_on(async {
        let calls: Vec<_> = (0..10_000).map(|_| tokio::spawn(call(1))).collect();
        for call in calls {
            call.await.unwrap();
        }
    });
    Value::from(COMPUTED.load(Relaxed) as f64)
}
