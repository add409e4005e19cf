use cached_runtime::async_cached;

#[async_cached(ttl = 60s, capacty = 10, backend = "rediss", version = "2")]
fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
