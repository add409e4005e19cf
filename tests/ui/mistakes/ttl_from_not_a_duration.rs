use cached_runtime::async_cached;

#[async_cached(ttl_from = |user: &u64| *user)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
