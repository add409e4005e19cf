use cached_runtime::async_cached;

#[async_cached(ttl = 60, capacity = 10, max_bytes = "64MiB", weigh = |_: &u64, _: &u64| 8)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
