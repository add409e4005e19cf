//! Durations that are expressions, evaluated whenever they are needed, and what `lookup` says about lifetimes.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cached_runtime::{Source, async_cached};

use crate::support::on_each_backend;

const SECOND: Duration = Duration::from_secs(1);

macro_rules! lifetimes {
    ($backend:expr) => {
        static TTL: AtomicU64 = AtomicU64::new(600);

        fn configured() -> Duration {
            Duration::from_secs(TTL.load(SeqCst))
        }

        #[async_cached(ttl = configured(), backend = $backend, jitter = 0.0)]
        async fn user(id: u64) -> u64 {
            id
        }

        #[async_cached(ttl = 600, cache_err = configured(), backend = $backend, jitter = 0.0)]
        async fn fallible(id: u64) -> Result<u64, String> {
            if id == 0 { Err("zero".to_owned()) } else { Ok(id) }
        }

        #[async_cached(ttl = 600, cache_none = configured() / 2, backend = $backend, jitter = 0.0)]
        async fn absent(id: u64) -> Option<u64> {
            (id > 0).then_some(id)
        }

        /// Checks that a duration is this long, less what a test takes.
        fn is_about(duration: Duration, seconds: u64) -> bool {
            (Duration::from_secs(seconds) - 30 * SECOND..=Duration::from_secs(seconds)).contains(&duration)
        }

        #[tokio::test]
        async fn ttl_is_evaluated_whenever_a_value_is_stored() {
            cached_tests::in_own_process!();
            assert!(is_about(user::lookup(1).await.fresh_for, 600));
            TTL.store(6_000, SeqCst);
            assert!(is_about(user::lookup(1).await.fresh_for, 600), "stored before");
            assert!(is_about(user::lookup(2).await.fresh_for, 6_000));
            user::put(3, 3).await.unwrap();
            assert!(is_about(user::lookup(3).await.fresh_for, 6_000));
            user::refresh(1).await;
            assert!(is_about(user::lookup(1).await.fresh_for, 6_000));

            TTL.store(60_000, SeqCst);
            for _ in 0..2 {
                let (error, none) = (fallible::lookup(0).await, absent::lookup(0).await);
                assert!(is_about(error.fresh_for, 60_000) && error.value.is_err(), "{error:?}");
                assert!(is_about(none.fresh_for, 30_000) && none.value.is_none(), "{none:?}");
            }
            assert_eq!((user(1).await, fallible(1).await, absent(1).await), (1, Ok(1), Some(1)));
            assert!(is_about(fallible::lookup(1).await.fresh_for, 600));
        }

        #[tokio::test]
        async fn what_is_not_stored_is_not_fresh() {
            cached_tests::in_own_process!();
            user::set_enabled(false);
            let lookup = user::lookup(1).await;
            assert_eq!((lookup.source, lookup.fresh_for), (Source::Computed, Duration::ZERO));
        }
    };
}
on_each_backend!(lifetimes);

#[cfg(feature = "moved-clock")]
static WINDOW: AtomicU64 = AtomicU64::new(0);

#[cfg(feature = "moved-clock")]
#[async_cached(ttl = 1, stale_if_error = Duration::from_secs(WINDOW.load(SeqCst)))]
async fn fails_later(id: u64) -> Result<u64, String> {
    if fails_later::stats().computed > 1 { Err("down".to_owned()) } else { Ok(id) }
}

#[cfg(feature = "moved-clock")]
#[tokio::test(start_paused = true)]
async fn window_in_memory_follows_its_expression() {
    cached_tests::in_own_process!();
    fails_later(1).await.unwrap();
    WINDOW.store(60, SeqCst);
    fails_later(2).await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    let stale = fails_later::lookup(2).await;
    assert_eq!((stale.value, stale.source, stale.fresh_for), (Ok(2), Source::Stale, Duration::ZERO));
}
