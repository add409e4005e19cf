//! Tests of code that calls cached functions. They run in parallel in one process, and each begins with empty caches.
//!
//! ```text
//! $ cargo test --example testing --features testing --quiet
//!
//! running 4 tests
//! ....
//! test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
//!
//!
//! $ cargo run --example testing --features testing
//! two pears cost 6
//! ```

use std::sync::LazyLock;
use std::time::Duration;

use cached_runtime::async_cached;
use cached_runtime::test::TestStore;

/// In a program, a store of yours; `backend = "redis"` can be tested in the same way, with a server.
static STORE: LazyLock<TestStore> = LazyLock::new(TestStore::new);

#[derive(Debug, Clone, PartialEq, Eq)]
struct UnknownProduct;

#[async_cached(ttl = "5m")]
async fn price(product: &str) -> Result<u64, UnknownProduct> {
    tokio::time::sleep(Duration::from_millis(5)).await; // a database
    match product {
        "pear" => Ok(3),
        "apple" => Ok(2),
        _ => Err(UnknownProduct),
    }
}

#[async_cached(ttl = "1h", backend = &*STORE)]
async fn exchange_rate(currency: &str) -> u64 {
    currency.len() as u64
}

async fn total(products: &[(&str, u64)]) -> Result<u64, UnknownProduct> {
    let mut total = 0;
    for (product, count) in products {
        total += count * price(product).await?;
    }
    Ok(total)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), UnknownProduct> {
    println!("two pears cost {}", total(&[("pear", 2)]).await?);
    exchange_rate("EUR").await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use cached_runtime::test::{Fault, isolated};
    use cached_runtime::{ErrorKind, Source};

    use super::*;

    /// Without `isolated` this test and the next one fail now and then: each counts what the other has looked up.
    #[tokio::test]
    async fn a_price_is_looked_up_once() {
        isolated(async {
            assert_eq!(total(&[("pear", 1), ("apple", 1), ("pear", 2)]).await, Ok(11));
            assert_eq!((price::stats().computed, price::stats().hits), (2, 1));
        })
        .await;
    }

    #[tokio::test]
    async fn a_price_that_was_changed_is_looked_up_again() {
        isolated(async {
            price::put("pear", 1_u64).await.unwrap();
            assert_eq!(total(&[("pear", 2)]).await, Ok(2));
            price::invalidate("pear").await.unwrap();
            assert_eq!(total(&[("pear", 2)]).await, Ok(6));
            assert_eq!(price::stats().computed, 1);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_used_for_an_hour() {
        isolated(async {
            exchange_rate("EUR").await;
            tokio::time::advance(Duration::from_secs(50 * 60)).await;
            assert_eq!(exchange_rate::lookup("EUR").await.source, Source::Shared);
            tokio::time::advance(Duration::from_secs(11 * 60)).await;
            assert_eq!(exchange_rate::lookup("EUR").await.source, Source::Computed);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_known_while_the_store_is_down() {
        static BROKEN: LazyLock<TestStore> = LazyLock::new(TestStore::new);

        #[async_cached(ttl = "1h", backend = &*BROKEN)]
        async fn exchange_rate(currency: &str) -> u64 {
            super::exchange_rate::uncached(currency).await
        }

        BROKEN.inject(Fault::error(ErrorKind::Unreachable));
        assert_eq!(exchange_rate("EUR").await, 3);
        assert_eq!(exchange_rate::stats().store_errors, 1);
    }
}
