//! Stale values in place of errors and of waiting, and groups of values that are invalidated together.
//!
//! ```text
//! $ cargo run --example stale_and_tags
//! the first call: price 1, computed
//! the second: price 1, from memory
//! expired: price 1, stale, while the next one is computed
//! a moment later: price 2, from memory
//! expired, and the shop is closed: price 2, stale
//! another product, never seen: the shop is closed
//! after `invalidate_tag`: price 3, computed; price 4, computed
//! ```
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use cached_runtime::{Lookup, Source, async_cached, invalidate_tag};

/// A shop that raises the price with each request, and can be closed.
static PRICE: AtomicU64 = AtomicU64::new(0);
static CLOSED: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Clone, PartialEq)]
struct Closed;

#[async_cached(
    ttl = 60,
    stale_while_revalidate = "10s",
    stale_if_error = "1h",
    tags("product:{product}", "shop")
)]
async fn price(product: u64) -> Result<u64, Closed> {
    let _ = product;
    tokio::task::yield_now().await;
    if CLOSED.load(SeqCst) { Err(Closed) } else { Ok(PRICE.fetch_add(1, SeqCst) + 1) }
}

/// The same without background refreshes: if the shop is closed and there is no old value, the call fails.
#[async_cached(ttl = 60, stale_if_error = "1h", tags("shop"))]
async fn offer(product: u64) -> Result<u64, Closed> {
    price::uncached(product).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> cached_runtime::Result<()> {
    println!("the first call: {}", describe(price::lookup(7).await));
    println!("the second: {}", describe(price::lookup(7).await));

    price::expire(7).await?;
    println!("expired: {}, while the next one is computed", describe(price::lookup(7).await));
    while price::stats().background_refreshes == 0 {
        tokio::task::yield_now().await;
    }
    println!("a moment later: {}", describe(price::lookup(7).await));

    offer::put(7, 2).await?;
    offer::expire(7).await?;
    CLOSED.store(true, SeqCst);
    println!("expired, and the shop is closed: {}", describe(offer::lookup(7).await));
    println!("another product, never seen: {}", describe(offer::lookup(8).await));

    CLOSED.store(false, SeqCst);
    invalidate_tag("shop").await?;
    let (price, offer) = (price::lookup(7).await, offer::lookup(7).await);
    println!("after `invalidate_tag`: {}; {}", describe(price), describe(offer));
    Ok(())
}

fn describe(found: Lookup<Result<u64, Closed>>) -> String {
    let from = match found.source {
        Source::Memory => "from memory",
        Source::Computed => "computed",
        Source::Stale => "stale",
        _ => "from a shared store",
    };
    found
        .value
        .map_or_else(|Closed| "the shop is closed".to_owned(), |price| format!("price {price}, {from}"))
}
