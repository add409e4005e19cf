use cached_runtime::async_cached;

mod user {}

#[async_cached(ttl = 60)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
