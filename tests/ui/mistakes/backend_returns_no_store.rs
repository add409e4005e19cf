use cached_runtime::async_cached;

fn store() -> u64 {
    1
}

#[async_cached(ttl = 60, backend = store())]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
