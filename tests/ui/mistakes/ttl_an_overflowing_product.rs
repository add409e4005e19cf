use cached_runtime::async_cached;

#[async_cached(ttl = 99_999_999_999 * 99_999_999_999)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
