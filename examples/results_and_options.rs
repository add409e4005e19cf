//! What is cached of a `Result` and of an `Option`, and for how long.
//!
//! ```text
//! $ cargo run --example results_and_options
//! Ok: 1 of 2 calls computed
//! Err: 2 of 2 calls computed
//! Err, 10 callers at once: 1 of 10 calls computed
//! Err with `cache_err`: 1 of 2 calls computed
//! Some: 1 of 2 calls computed
//! None: 2 of 2 calls computed
//! None with `cache_none`: 1 of 2 calls computed
//! accepted by `cache_if`: 1 of 2 calls computed
//! not accepted: 2 of 2 calls computed
//! a lifetime from the value: 1 of 2 calls computed
//! past that lifetime: 1 of 1 calls computed
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cached_runtime::async_cached;
use tokio::task::JoinSet;

/// An error that is `Clone` is also returned to all calls that wait for the computation.
#[derive(Debug, Clone, PartialEq)]
struct NotFound;

/// An alias is recognized by its type: this is a `Result`.
type Answer<T> = Result<T, NotFound>;

#[async_cached(ttl = 60)]
async fn user(id: u64) -> Answer<String> {
    work().await;
    if id < 100 { Ok(format!("user {id}")) } else { Err(NotFound) }
}

#[async_cached(ttl = 60, cache_err = "5s")]
async fn user_or_not(id: u64) -> Answer<String> {
    user::uncached(id).await
}

#[async_cached(ttl = 60)]
async fn nickname(id: u64) -> Option<String> {
    work().await;
    (id < 100).then(|| format!("nickname {id}"))
}

#[async_cached(ttl = 60, cache_none = "30s")]
async fn nickname_or_not(id: u64) -> Option<String> {
    nickname::uncached(id).await
}

#[async_cached(ttl = 60, cache_if = |page: &String| !page.is_empty())]
async fn page(number: u64) -> String {
    work().await;
    if number < 100 { format!("page {number}") } else { String::new() }
}

#[derive(Debug, Clone)]
struct Token {
    lifetime: Duration,
}

#[async_cached(ttl_from = |token: &Token| token.lifetime)]
async fn token(user: &str) -> Answer<Token> {
    work().await;
    let lifetime = Duration::from_millis(if user.is_empty() { 1 } else { 100 });
    Ok(Token { lifetime })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    show("Ok", [user(1).await, user(1).await]);
    show("Err", [user(100).await, user(100).await]);
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        callers.spawn(user(101));
    }
    show("Err, 10 callers at once", callers.join_all().await);
    show("Err with `cache_err`", [user_or_not(100).await, user_or_not(100).await]);

    show("Some", [nickname(1).await, nickname(1).await]);
    show("None", [nickname(100).await, nickname(100).await]);
    show("None with `cache_none`", [nickname_or_not(100).await, nickname_or_not(100).await]);
    // "`None` is cached" and "nothing is cached" are different.
    assert_eq!(nickname_or_not::peek(100).await, Some(None));
    assert_eq!(nickname_or_not::peek(101).await, None);

    show("accepted by `cache_if`", [page(1).await, page(1).await]);
    show("not accepted", [page(100).await, page(100).await]);

    show("a lifetime from the value", [token("ann").await, token("ann").await]);
    tokio::time::sleep(Duration::from_millis(150)).await;
    show("past that lifetime", [token("ann").await]);
    Ok(())
}

static COMPUTED: AtomicU64 = AtomicU64::new(0);

/// Takes a moment, and counts its calls.
async fn work() {
    COMPUTED.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(5)).await;
}

/// Prints how many of these calls ran the function.
fn show<T>(what: &str, calls: impl IntoIterator<Item = T>) {
    let calls = calls.into_iter().count();
    println!("{what}: {} of {calls} calls computed", COMPUTED.swap(0, Ordering::Relaxed));
}
