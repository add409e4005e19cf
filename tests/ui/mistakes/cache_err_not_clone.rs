use cached_runtime::async_cached;

#[async_cached(ttl = 60, cache_err = "5s")]
async fn user(id: u64) -> std::io::Result<u64> {
    Ok(id)
}

fn main() {
    let _ = user(1);
}
