//! One look-up through each backend: the code is the same, and so are the results.
//!
//! Redis is expected at `CACHED_REDIS_URL` or on port 6379 of this machine, Memcached at
//! `CACHED_MEMCACHED_SERVERS` or on port 11211. Without the server this program ends with the error of its first
//! `invalidate`, which the server has to confirm. A call never fails because of the server: it would ask the origin.
//!
//! ```text
//! $ cargo run --example strategies --features redis,memcached -- memory
//! nothing stored         50 ms   the origin was asked
//! again                   0 ms
//! after `put`             0 ms
//! after `invalidate`     50 ms   the origin was asked
//! answered from memory 2, from the shared store 0, computed 2
//!
//! $ cargo run --example strategies --features redis,memcached -- redis
//! nothing stored         50 ms   the origin was asked
//! again                   0 ms
//! after `put`             0 ms
//! after `invalidate`     50 ms   the origin was asked
//! answered from memory 0, from the shared store 2, computed 2
//!
//! $ cargo run --example strategies --features redis,memcached -- memcached
//! nothing stored         50 ms   the origin was asked
//! again                   0 ms
//! after `put`             0 ms
//! after `invalidate`     50 ms   the origin was asked
//! answered from memory 0, from the shared store 2, computed 2
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cached_runtime::{Stats, async_cached};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[async_cached(ttl = 60)]
async fn user_in_memory(id: u64, lang: &str) -> User {
    look_up(id, lang).await
}

#[async_cached(ttl = 60, backend = "redis")]
async fn user_in_redis(id: u64, lang: &str) -> User {
    look_up(id, lang).await
}

#[async_cached(ttl = 60, backend = "memcached")]
async fn user_in_memcached(id: u64, lang: &str) -> User {
    look_up(id, lang).await
}

/// Runs the same calls for one of the functions above.
macro_rules! show {
    ($user:ident) => {{
        // A shared store still has the value of the last run of this program.
        $user::invalidate(42, "en").await?;
        show("nothing stored", $user(42, "en")).await;
        show("again", $user(42, "en")).await;
        $user::put(42, "en", User { id: 42, name: "new name".to_owned() }).await?;
        assert_eq!(show("after `put`", $user(42, "en")).await.name, "new name");
        $user::invalidate(42, "en").await?;
        show("after `invalidate`", $user(42, "en")).await;
        $user::stats()
    }};
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stats: Stats = match std::env::args().nth(1).as_deref() {
        Some("memory") => show!(user_in_memory),
        Some("redis") => show!(user_in_redis),
        Some("memcached") => show!(user_in_memcached),
        _ => return Err("expected `memory`, `redis` or `memcached`".into()),
    };
    let Stats { hits, shared_hits, computed, .. } = stats;
    println!("answered from memory {hits}, from the shared store {shared_hits}, computed {computed}");
    Ok(())
}

static ASKED: AtomicBool = AtomicBool::new(false);

/// The slow origin.
async fn look_up(id: u64, lang: &str) -> User {
    ASKED.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    User { id, name: format!("name of {id} in {lang}") }
}

/// Prints how long a call takes, and whether it asked the origin.
async fn show(what: &str, call: impl Future<Output = User>) -> User {
    let began = Instant::now();
    let user = call.await;
    let millis = began.elapsed().as_millis() / 10 * 10;
    let asked = if ASKED.swap(false, Ordering::Relaxed) { "   the origin was asked" } else { "" };
    println!("{what:20} {millis:4} ms{asked}");
    user
}
