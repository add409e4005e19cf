//! Puts of one key at the same time, also by two functions with one name.

use cached_runtime::async_cached;
use tokio::task::JoinSet;

use crate::support::{memcached, redis};

macro_rules! on {
    ($($backend:ident)*) => {$(
        mod $backend {
            use super::*;

            #[async_cached(ttl = 600, backend = $backend(), name = "concurrent_puts")]
            async fn one(key: u64) -> u64 {
                key
            }

            #[async_cached(ttl = 600, backend = $backend(), name = "concurrent_puts")]
            async fn other(key: u64) -> u64 {
                key
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn puts_at_the_same_time_leave_the_value_of_one() {
                for key in 0..20 {
                    let mut puts = JoinSet::new();
                    for value in 1..=10 {
                        puts.spawn(one::put(key, 2 * value));
                        puts.spawn(other::put(key, 2 * value + 1));
                    }
                    assert!(puts.join_all().await.iter().all(Result::is_ok));
                    assert!(one::peek(key).await.is_some(), "all have removed the values of the others");
                }
            }
        }
    )*};
}
on!(redis memcached);
