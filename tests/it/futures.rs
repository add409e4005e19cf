//! The futures of functions with a shared store are `Send`, like those of functions in memory.

use cached_runtime::async_cached;

#[async_cached(ttl = 60, backend = "redis")]
async fn redis(id: u64, name: &str) -> Result<u64, String> {
    tokio::task::yield_now().await;
    Ok(id + name.len() as u64)
}

#[async_cached(ttl = 60, backend = "memcached", codec = "json", detached)]
async fn memcached(id: u64, name: String) -> Option<u64> {
    tokio::task::yield_now().await;
    Some(id + name.len() as u64)
}

fn is_send(_: impl Send) {}

#[test]
fn every_future_is_send_when_its_parts_are() {
    is_send(redis(1, "a"));
    is_send(redis::refresh(1, "a"));
    is_send(memcached(1, String::new()));
    is_send(memcached::refresh(1, String::new()));
}
