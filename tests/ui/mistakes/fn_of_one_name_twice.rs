use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 60)]
async fn user(id: u32) -> u32 {
    id
}

fn main() {
    let _ = user(1);
    let _ = user::peek(1);
}
