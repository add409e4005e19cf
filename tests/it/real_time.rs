//! Lifetimes on the real clock. Release builds use another clock than tests with the feature `moved-clock`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use cached_runtime::{Source, async_cached};
use cached_tests::runs::Runs;
use tokio::time::sleep;

use crate::support::{SOON, on_each_backend};

const TTL: Duration = Duration::from_millis(300);
/// The tolerance: ages in shared stores are whole milliseconds of the wall clock.
const ROUNDED: Duration = Duration::from_millis(5);

macro_rules! tests {
    ($($backend:tt)+) => {
        /// The value stays stored after its lifetime, so that only the clock makes it stale.
        #[async_cached(ttl = TTL, jitter = 0, stale_if_error = "1h", backend = $($backend)+)]
        async fn brief() -> Result<u64, String> {
            static RUNS: Runs = Runs::new();
            Ok(RUNS.next())
        }

        #[tokio::test]
        async fn a_value_is_a_hit_until_its_lifetime_is_over() {
            let earliest = Instant::now() + TTL;
            assert_eq!(brief().await, Ok(1));
            let latest = Instant::now() + TTL;
            loop {
                let before = Instant::now();
                if brief().await == Ok(2) {
                    break assert!(Instant::now() + ROUNDED >= earliest, "it expired too early");
                }
                assert!(before <= latest + ROUNDED, "a hit {:?} after its end", before - latest);
                sleep(Duration::from_millis(1)).await;
            }
        }

        #[async_cached(ttl = 600, backend = $($backend)+)]
        async fn lasting() -> u64 {
            static RUNS: Runs = Runs::new();
            RUNS.next()
        }

        #[tokio::test]
        async fn a_value_has_an_age() {
            let earliest = Instant::now();
            lasting().await;
            let latest = Instant::now();
            sleep(Duration::from_millis(20)).await;
            let least = latest.elapsed();
            let age = lasting::lookup().await.age;
            assert!(least <= age + ROUNDED && age <= earliest.elapsed() + ROUNDED, "{age:?}");
        }

        #[async_cached(ttl = 600, stale_if_error = 600, backend = $($backend)+)]
        async fn kept_for_errors() -> Result<u64, String> {
            static RUNS: Runs = Runs::new();
            Ok(RUNS.next())
        }

        #[tokio::test]
        async fn an_expired_value_is_computed_anew_though_it_is_kept_for_errors() {
            assert_eq!(kept_for_errors().await, Ok(1));
            kept_for_errors::expire().await.unwrap();
            assert_eq!(kept_for_errors().await, Ok(2));
        }

        #[async_cached(ttl = 600, stale_while_revalidate = 600, backend = $($backend)+)]
        async fn revalidated() -> u64 {
            static RUNS: Runs = Runs::new();
            RUNS.next()
        }

        #[tokio::test]
        async fn an_expired_value_is_stale_and_refreshed_in_the_background() {
            assert_eq!(revalidated().await, 1);
            revalidated::expire().await.unwrap();
            let stale = revalidated::lookup().await;
            assert_eq!((stale.value, stale.source), (1, Source::Stale));
            let begin = Instant::now();
            while revalidated().await == 1 {
                assert!(begin.elapsed() < SOON, "it was never refreshed");
                sleep(Duration::from_millis(1)).await;
            }
        }
    };
}

on_each_backend!(tests);

#[async_cached(ttl = TTL)]
async fn without_a_runtime() -> u64 {
    static RUNS: Runs = Runs::new();
    RUNS.next()
}

#[test]
fn a_lifetime_ends_without_a_runtime() {
    let call = || match pin!(without_a_runtime()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a body that waits for nothing is ready at once"),
    };
    let earliest = Instant::now() + TTL;
    assert_eq!(call(), 1);
    let latest = Instant::now() + TTL;
    loop {
        let before = Instant::now();
        if call() == 2 {
            break assert!(Instant::now() >= earliest, "it was gone too early");
        }
        assert!(before <= latest + ROUNDED, "a hit {:?} after its end", before - latest);
        std::thread::yield_now();
    }
}
