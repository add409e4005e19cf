use cached_runtime::async_cached;

#[async_cached(ttl = 60, refresh_ahead)]
async fn user(name: &str) -> usize {
    name.len()
}

fn main() {
    let _ = user("");
}
