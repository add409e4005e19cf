use cached_runtime::async_cached;

struct User(String);

#[async_cached(ttl = 60, cache_err = "5s")]
async fn user(id: u64) -> Result<User, String> {
    Ok(User(id.to_string()))
}

fn main() {
    let _ = user(1);
}
