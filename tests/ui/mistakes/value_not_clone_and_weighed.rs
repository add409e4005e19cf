use cached_runtime::async_cached;

struct User(String);

#[async_cached(ttl = 60, max_bytes = "1MiB", weigh = |_, user: &User| user.0.len() as u64)]
async fn user(id: u64) -> Result<User, String> {
    Ok(User(id.to_string()))
}

fn main() {
    let _ = user(1);
}
