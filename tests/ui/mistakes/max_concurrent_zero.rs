use cached_runtime::async_cached;

#[async_cached(ttl = 60, max_concurrent = 0)]
async fn user(id: u64) -> cached_runtime::Result<u64> {
    Ok(id)
}

fn main() {
    let _ = user(1);
}
