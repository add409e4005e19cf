//! A readiness check, and what a process knows of its server. A call is answered in any case.
//!
//! The address of a Redis server is expected in `CACHED_REDIS_URL`, for example `redis://127.0.0.1:6379`. Nothing listens at the
//! address of the second command.
//!
//! ```text
//! $ cargo run --example readiness --features redis
//! ready
//! the answer is 42
//! redis: Up, invalidations to be repeated: 0
//!
//! $ CACHED_REDIS_URL=redis://127.0.0.1:1 cargo run --example readiness --features redis
//! not ready: a configured store cannot be reached
//! the answer is 42
//! redis: Down, invalidations to be repeated: 1
//! ```
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::time::Duration;

use cached_runtime::{async_cached, connect, health};
use tokio::time::sleep;

#[async_cached(ttl = 60, backend = "redis")]
async fn answer() -> u64 {
    sleep(Duration::from_millis(1)).await;
    42
}

#[tokio::main]
async fn main() {
    match connect().await {
        Ok(()) => println!("ready"),
        // The `source` of the error says which server, and why.
        Err(error) => println!("not ready: {error}"),
    }
    // The server confirms it, or it is repeated until the server does.
    let _ = answer::invalidate().await;
    println!("the answer is {}", answer().await);
    for server in health() {
        println!(
            "{}: {:?}, invalidations to be repeated: {}",
            server.name, server.state, server.pending_invalidations
        );
    }
}
