//! One program for every environment: where its values are is said by a variable, or by nobody.
//!
//! The variables of the servers are those that the other examples use: `CACHED_REDIS_URL`, for example
//! `redis://127.0.0.1:6379`, and `CACHED_MEMCACHED_SERVERS`, for example `127.0.0.1:11211`.
//!
//! ```text
//! $ cargo run --example environment --features redis,memcached
//! user 42 of Ada, computed; again: from memory
//! in a request with `no-cache`: computed
//! with caching off: computed
//! on again: from memory
//!
//! $ CACHED_SHARED_URL=$CACHED_REDIS_URL cargo run --example environment --features redis,memcached
//! user 42 of Ada, computed; again: from the shared store
//! in a request with `no-cache`: computed
//! with caching off: computed
//! on again: from the shared store
//!
//! $ CACHED_SHARED_URL=memcached://$CACHED_MEMCACHED_SERVERS cargo run --example environment --features redis,memcached
//! user 42 of Ada, computed; again: from the shared store
//! in a request with `no-cache`: computed
//! with caching off: computed
//! on again: from the shared store
//!
//! $ CACHED_SHARED_URL=off:// cargo run --example environment --features redis,memcached
//! user 42 of Ada, computed; again: computed
//! in a request with `no-cache`: computed
//! with caching off: computed
//! on again: computed
//!
//! $ CACHED_SHARED_URL=rdis://cache cargo run --example environment --features redis,memcached
//! the environment variable CACHED_SHARED_URL is invalid
//! ```
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::time::Duration;

use cached_runtime::{Source, async_cached, configure, recompute, set_enabled};
use tokio::time::sleep;

#[async_cached(ttl = 60, backend = "shared", capacity = 1_000)]
async fn user(id: u64) -> String {
    sleep(Duration::from_millis(1)).await; // A look-up in a database.
    format!("user {id} of Ada")
}

#[tokio::main]
async fn main() -> cached_runtime::Result<()> {
    if let Err(error) = configure().install() {
        println!("{error}");
        return Ok(());
    }
    // A server still has the value of the last run of this program. The first command may have to wait for the connection.
    while user::invalidate(42).await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }

    let first = user::lookup(42).await;
    println!("{}, {}; again: {}", first.value, name(first.source), source().await);
    println!("in a request with `no-cache`: {}", recompute(source()).await);
    set_enabled(false);
    println!("with caching off: {}", source().await);
    set_enabled(true);
    println!("on again: {}", source().await);
    Ok(())
}

/// Returns where a call gets its value.
async fn source() -> &'static str {
    name(user::lookup(42).await.source)
}

fn name(source: Source) -> &'static str {
    match source {
        Source::Memory => "from memory",
        Source::Shared => "from the shared store",
        Source::Computed => "computed",
        _ => "otherwise",
    }
}
