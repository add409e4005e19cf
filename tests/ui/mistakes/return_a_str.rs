use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(name: &str) -> &str {
    name
}

fn main() {
    let _ = user("");
}
