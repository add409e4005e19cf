//! What is random in two copies of one process differs.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use cached_runtime::{Key, LeaseMode, Redis, async_cached};
use cached_tests::forked::forked;
use cached_tests::in_own_process;
use cached_tests::server::RedisServer;

use crate::support::{SOON, acquire, redis_at};

static URL: OnceLock<String> = OnceLock::new();

fn store() -> Redis {
    redis_at(URL.get().unwrap(), SOON)
}

/// Starts a server, and does what a process has done before it is copied: this thread has used a map.
fn prepare() -> RedisServer {
    let server = RedisServer::start();
    URL.set(server.url()).unwrap();
    let _ = std::collections::HashMap::<u8, u8>::new();
    server
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn two_workers_have_no_lease_token_in_common() {
    in_own_process!();
    let _server = prepare();
    let tokens = |worker: &str| {
        forked(|| {
            block_on(async {
                let store = store();
                let mut tokens = String::new();
                for id in 0..10 {
                    let key = Key::new(worker, &id).unwrap();
                    let lease = acquire(&store, &key, SOON, LeaseMode::IfAbsent).await.unwrap();
                    tokens.push_str(&lease.token().to_string());
                    tokens.push('\n');
                }
                tokens
            })
        })
    };
    let (one, two) = (tokens("one"), tokens("two"));
    let tokens: BTreeSet<&str> = one.lines().chain(two.lines()).collect();
    assert_eq!(tokens.len(), 20, "{one}\n{two}");
}

#[async_cached(ttl = 600, backend = Arc::new(store()))]
async fn number() -> u64 {
    1
}

#[test]
fn a_clear_in_one_worker_holds_for_what_was_stored_after_a_clear_in_another() {
    in_own_process!();
    let _server = prepare();
    let stored = forked(|| {
        block_on(async {
            number::clear().await.unwrap();
            number().await;
            format!("{:?}", number::peek().await)
        })
    });
    assert_eq!(stored, "Some(1)");
    let cleared = forked(|| {
        block_on(async {
            number::clear().await.unwrap();
            String::new()
        })
    });
    assert_eq!(cleared, "");
    let found = forked(|| block_on(async { format!("{:?}", number::peek().await) }));
    assert_eq!(found, "None", "the value was cleared");
}
