//! Background refreshes: every key has its turn, no function keeps another from refreshing, and each ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cached_runtime::async_cached;

use crate::support::{SOON, until};

mod in_order {
    use super::*;

    static COMPUTED: [AtomicUsize; 1_000] = [const { AtomicUsize::new(0) }; 1_000];
    static IS_SLOW: AtomicBool = AtomicBool::new(false);

    #[async_cached(ttl = Duration::from_millis(20), stale_while_revalidate = 600)]
    async fn load(n: usize) -> usize {
        if IS_SLOW.load(SeqCst) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        COMPUTED[n].fetch_add(1, SeqCst)
    }

    /// 1 000 keys that are called in order, again and again, faster than they can be refreshed.
    #[tokio::test]
    async fn every_key_has_its_turn() {
        for n in 0..COMPUTED.len() {
            load(n).await;
        }
        IS_SLOW.store(true, SeqCst);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let end = Instant::now() + SOON;
        loop {
            for n in 0..COMPUTED.len() {
                load(n).await;
            }
            let refreshed = COMPUTED.iter().filter(|computed| computed.load(SeqCst) > 1).count();
            if refreshed == COMPUTED.len() {
                break;
            }
            assert!(Instant::now() < end, "{refreshed} of {} keys were refreshed", COMPUTED.len());
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
}

mod hanging {
    use super::*;

    static HANGS: AtomicBool = AtomicBool::new(false);
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static COMPUTED: AtomicUsize = AtomicUsize::new(0);

    #[async_cached(ttl = Duration::from_millis(1), stale_while_revalidate = 600)]
    async fn hang(n: usize) -> usize {
        if HANGS.load(SeqCst) {
            BEGUN.fetch_add(1, SeqCst);
            std::future::pending::<()>().await;
        }
        n
    }

    #[async_cached(ttl = Duration::from_millis(1), stale_while_revalidate = 600)]
    async fn answer() -> usize {
        COMPUTED.fetch_add(1, SeqCst)
    }

    /// A function all of whose bodies hang takes what is shared, and nothing of what belongs to another.
    #[tokio::test]
    async fn a_function_that_hangs_does_not_stop_the_refreshes_of_another() {
        answer().await;
        for n in 0..500 {
            hang(n).await;
        }
        HANGS.store(true, SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        for n in 0..500 {
            hang(n).await;
        }
        until("they hang", || BEGUN.load(SeqCst) >= 16).await;
        until("the other is refreshed", || {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = std::pin::pin!(answer()).poll(&mut context);
            COMPUTED.load(SeqCst) > 1
        })
        .await;
    }
}

#[cfg(feature = "moved-clock")]
mod bounded {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::support::settle;

    #[async_cached(ttl = 60, stale_while_revalidate = 600, skip(gate))]
    async fn load(gate: Arc<Semaphore>) -> usize {
        gate.acquire().await.unwrap().forget();
        7
    }

    /// A refresh that hangs ends after 30 s, and another begins a second later.
    #[tokio::test(start_paused = true)]
    async fn a_refresh_takes_30_seconds_at_most() {
        let gate = Arc::new(Semaphore::new(1));
        load(Arc::clone(&gate)).await;
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(load(Arc::clone(&gate)).await, 7);
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert_eq!(load::stats().errors, 0);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(load::stats().errors, 1);
        gate.add_permits(1);
        assert_eq!(load(Arc::clone(&gate)).await, 7);
        settle().await;
        assert_eq!(gate.available_permits(), 1, "it is tried again after a second");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(load(Arc::clone(&gate)).await, 7);
        until("the next refresh has ended", || load::stats().background_refreshes == 1).await;
    }
}
