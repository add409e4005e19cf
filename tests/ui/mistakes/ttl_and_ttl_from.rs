use cached_runtime::async_cached;

#[async_cached(ttl = 60, ttl_from = |value: &u64| std::time::Duration::from_secs(*value))]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
