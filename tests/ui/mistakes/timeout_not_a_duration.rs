use cached_runtime::async_cached;

const LONG: u64 = 5;

#[async_cached(ttl = 60, timeout = LONG)]
async fn user(id: u64) -> cached_runtime::Result<u64> {
    Ok(id)
}

fn main() {
    let _ = user(1);
}
