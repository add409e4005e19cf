use cached_runtime::async_cached;

#[async_cached(ttl = 60, readable)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
