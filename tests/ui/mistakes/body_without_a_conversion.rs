use cached_runtime::async_cached;

#[derive(Clone)]
struct NotFound;

#[async_cached(ttl = 60)]
async fn user(id: &str) -> Result<u64, NotFound> {
    Ok(id.parse::<u64>()?)
}

fn main() {
    let _ = user("1");
}
