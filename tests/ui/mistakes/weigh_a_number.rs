use cached_runtime::async_cached;

#[async_cached(ttl = 60, max_bytes = "1MiB", weigh = 5)]
async fn user(id: u64) -> String {
    id.to_string()
}

fn main() {
    let _ = user(1);
}
