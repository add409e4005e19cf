//! HTTP's `Age` and `Cache-Control` from what `lookup` says, and a lifetime that follows the configuration.
//!
//! ```text
//! $ cargo run --example http_headers
//! GET /a                            <h1>/a</h1>   Age: 0   Cache-Control: max-age=60
//! GET /a                            <h1>/a</h1>   Age: 1   Cache-Control: max-age=60
//! GET /a, Cache-Control: no-cache   <h1>/a</h1>   Age: 0   Cache-Control: max-age=60
//! the configuration is changed
//! GET /a                            <h1>/a</h1>   Age: 0   Cache-Control: max-age=60
//! GET /b                            <h1>/b</h1>   Age: 0   Cache-Control: max-age=600
//! the pages are computed 3 times
//! ```
#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cached_runtime::{Lookup, async_cached, recompute};
use tokio::time::sleep;

/// A setting that changes while the program runs.
static TTL: AtomicU64 = AtomicU64::new(60);

fn ttl() -> Duration {
    Duration::from_secs(TTL.load(Ordering::Relaxed))
}

#[async_cached(ttl = ttl())]
async fn page(path: &str) -> String {
    sleep(Duration::from_millis(1)).await; // A look-up in a database.
    format!("<h1>{path}</h1>")
}

#[tokio::main]
async fn main() {
    get("/a").await;
    sleep(Duration::from_millis(1_100)).await;
    get("/a").await;
    get_with("/a", ", Cache-Control: no-cache").await;
    println!("the configuration is changed");
    TTL.store(600, Ordering::Relaxed);
    get("/a").await;
    get("/b").await;
    println!("the pages are computed {} times", page::stats().computed);
}

async fn get(path: &str) {
    get_with(path, "").await;
}

/// Answers a request with this header, and prints the response.
async fn get_with(path: &str, header: &str) {
    let answer = page::lookup(path);
    let lookup = if header.contains("no-cache") { recompute(answer).await } else { answer.await };
    let (age, cache_control) = headers(&lookup);
    let request = format!("GET {path}{header}");
    println!("{request:33} {:13} Age: {age}   Cache-Control: {cache_control}", lookup.value);
}

/// Returns the values of `Age` and `Cache-Control` (RFC 9111, sections 5.1 and 5.2.2.1): `max-age` counts from when the value was
/// computed.
fn headers<T>(lookup: &Lookup<T>) -> (u64, String) {
    let max_age = lookup.age + lookup.fresh_for;
    (lookup.age.as_secs(), format!("max-age={}", max_age.as_secs_f64().round()))
}
