use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn tokio(id: u64) -> u64 {
    tokio::task::yield_now().await;
    id
}

fn main() {
    let _ = tokio(1);
}
