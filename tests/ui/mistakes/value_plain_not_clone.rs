use cached_runtime::async_cached;

struct User(u64);

#[async_cached(ttl = 60)]
async fn user(id: u64) -> User {
    User(id)
}

fn main() {
    let _ = user(1);
}
