use cached_runtime::async_cached;

const JITTER: f32 = 0.1;

#[async_cached(ttl = 60, jitter = JITTER)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
