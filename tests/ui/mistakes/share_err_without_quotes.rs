use cached_runtime::async_cached;

#[async_cached(ttl = 60, share_err = off)]
async fn user(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {
    let _ = user(1);
}
