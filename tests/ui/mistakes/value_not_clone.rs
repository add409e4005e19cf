use cached_runtime::async_cached;

struct User(u64);

#[async_cached(ttl = 60)]
async fn user(id: u64) -> Result<User, String> {
    Ok(User(id))
}

fn main() {
    let _ = user(1);
    let _ = user::peek(1);
}
