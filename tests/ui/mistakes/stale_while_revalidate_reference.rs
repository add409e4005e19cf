use cached_runtime::async_cached;

#[async_cached(ttl = 60, stale_while_revalidate = "30s")]
async fn user(name: &str) -> usize {
    name.len()
}

fn main() {
    let _ = user("");
}
