//! The removal of expired values from memory: how long it takes, and that it stops nothing else.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cached_runtime::async_cached;
use tokio::task::yield_now;
use tokio::time::{advance, sleep};

const SECOND: Duration = Duration::from_secs(1);
const MANY: usize = 100_000;

/// Counts the drops of one kind of value.
macro_rules! counted {
    ($counted:ident, $dropped:ident) => {
        static $dropped: AtomicUsize = AtomicUsize::new(0);

        struct $counted;

        impl Drop for $counted {
            fn drop(&mut self) {
                $dropped.fetch_add(1, SeqCst);
            }
        }
    };
}

mod turns {
    use std::sync::Arc;

    use super::*;

    counted!(Counted, DROPPED);

    #[async_cached(ttl = 60, capacity = 200_000)]
    async fn many(n: usize) -> Arc<Counted> {
        let _ = n;
        Arc::new(Counted)
    }

    #[tokio::test(start_paused = true)]
    async fn other_tasks_run_while_many_values_are_removed() {
        for n in 0..MANY {
            many(n).await;
        }
        sleep(60 * SECOND - Duration::from_millis(1)).await;
        assert_eq!(DROPPED.load(SeqCst), 0);
        // Time stands still while this task yields, so the other one has to begin now.
        advance(2 * SECOND).await;
        let (mut dropped, mut longest) = (DROPPED.load(SeqCst), 0);
        while dropped < MANY {
            yield_now().await;
            let now = DROPPED.load(SeqCst);
            longest = longest.max(now - dropped);
            dropped = now;
        }
        assert!((1..=512).contains(&longest), "{longest} values in one turn");
        assert_eq!(many::stats().entries, 0);
    }
}

mod together {
    use std::sync::Arc;

    use super::*;

    counted!(Counted, DROPPED);

    #[async_cached(ttl_from = |(seconds, _)| Duration::from_secs(*seconds), capacity = 200_000)]
    async fn beside(n: usize, seconds: u64) -> (u64, Option<Arc<Counted>>) {
        let _ = n;
        (seconds, (seconds < 60).then(|| Arc::new(Counted)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_removed_within_ten_seconds_beside_many_others() {
        for n in 0..MANY {
            beside(n, 3_600).await;
        }
        for round in 1..20 {
            for n in 0..50 {
                beside(n, 1 + n as u64 % 3).await;
            }
            sleep(13 * SECOND).await;
            assert_eq!((DROPPED.load(SeqCst), beside::stats().entries), (50 * round, MANY as u64));
        }
    }
}
