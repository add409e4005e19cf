use cached_runtime::async_cached;

#[async_cached(ttl = 60, stale_if_error = "1h")]
async fn user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {
    let _ = user(1);
}
