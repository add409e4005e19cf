use cached_runtime::async_cached;

const MANY: &str = "many";

#[async_cached(ttl = 60, capacity = MANY)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
