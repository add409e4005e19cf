use cached_runtime::async_cached;

#[async_cached(time = 60, sync_writes = true, result = true)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
