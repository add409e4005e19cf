use cached_runtime::async_cached;

const MINUTE: u64 = 60;

#[async_cached(ttl = MINUTE)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
