use cached_runtime::async_cached;

#[async_cached(ttl = 60, timeout = "2s")]
async fn user(id: u64) -> Result<u64, std::fmt::Error> {
    Ok(id)
}

fn main() {
    let _ = user(1);
    let _ = user::refresh(1);
}
