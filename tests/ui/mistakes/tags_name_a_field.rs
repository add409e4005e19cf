use cached_runtime::async_cached;

#[async_cached(ttl = 60, tags("user:{user.id}"))]
async fn user(user: u64) -> u64 {
    user
}

fn main() {
    let _ = user(1);
}
