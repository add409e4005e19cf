//! Lifetimes on the real clock. Release builds use another clock than tests with the feature `moved-clock`.

use std::time::{Duration, Instant};

use cached_runtime::async_cached;
use cached_tests::runs::Runs;
use tokio::time::sleep;

use crate::support::on_each_backend;

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
    };
}

on_each_backend!(tests);
