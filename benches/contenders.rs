//! One function from number to number, cached in three ways and not at all, all called alike; and how all benchmarks measure and report.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a report prints tables")]

pub mod clock;
pub mod report;
pub mod rounds;

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cached_runtime::async_cached;
use quick_cache::sync::Cache;

/// The number of keys.
pub const KEYS: u64 = 1_000;

/// How many values each of the caches holds at most.
pub const CAPACITY: usize = 10_000;

/// The computation that is cached.
#[must_use]
pub fn compute(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Cached by the attribute.
#[async_cached(ttl = "1h")]
pub async fn by_the_attribute(n: u64) -> u64 {
    std::future::ready(compute(n)).await
}

/// Cached by quick_cache alone, without expiry: the engine below the attribute.
pub async fn by_quick_cache(n: u64) -> u64 {
    static CACHE: LazyLock<Cache<u64, u64>> = LazyLock::new(|| Cache::new(CAPACITY));
    if let Some(value) = CACHE.get(&n) {
        return value;
    }
    let value = std::future::ready(compute(n)).await;
    CACHE.insert(n, value);
    value
}

/// Cached by quick_cache with a hand-written expiry.
pub async fn by_hand(n: u64) -> u64 {
    static CACHE: LazyLock<Cache<u64, (u64, Instant)>> = LazyLock::new(|| Cache::new(CAPACITY));
    if let Some((value, expires)) = CACHE.get(&n)
        && Instant::now() < expires
    {
        return value;
    }
    let value = std::future::ready(compute(n)).await;
    CACHE.insert(n, (value, Instant::now() + Duration::from_secs(3_600)));
    value
}

/// Not cached: the cost of the loop around the others.
pub async fn not_at_all(n: u64) -> u64 {
    std::future::ready(compute(n)).await
}

/// Returns the output of a future that is ready at once, without the cost of an executor.
///
/// # Panics
///
/// If the future is not ready.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the contenders wait for nothing"),
    }
}
