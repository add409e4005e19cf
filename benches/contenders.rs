//! One function from number to number, remembered in three ways; each is called like the others.

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cached_runtime::async_cached;
use quick_cache::sync::Cache;

/// How many numbers are remembered.
pub const KEYS: u64 = 1_000;

const CAPACITY: usize = 10_000;

/// What is remembered.
#[must_use]
pub fn compute(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// By the attribute.
#[async_cached(ttl = "1h")]
pub async fn by_the_attribute(n: u64) -> u64 {
    std::future::ready(compute(n)).await
}

/// By quick_cache alone, for ever: what is below the attribute.
pub async fn by_quick_cache(n: u64) -> u64 {
    static CACHE: LazyLock<Cache<u64, u64>> = LazyLock::new(|| Cache::new(CAPACITY));
    if let Some(value) = CACHE.get(&n) {
        return value;
    }
    let value = std::future::ready(compute(n)).await;
    CACHE.insert(n, value);
    value
}

/// By quick_cache and an expiry, as one writes it by hand.
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

/// Not at all: what the loop around the others costs.
pub async fn not_at_all(n: u64) -> u64 {
    std::future::ready(compute(n)).await
}

/// The output of a future that has it at once, without an executor's costs.
///
/// # Panics
///
/// If it has not.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("this was to be a hit"),
    }
}
