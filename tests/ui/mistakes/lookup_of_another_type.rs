use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user::lookup("1");
    let _ = user::expire(1);
}
