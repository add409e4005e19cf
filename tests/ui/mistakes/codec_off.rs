use cached_runtime::async_cached;
use cached_ui::STORE;

#[async_cached(ttl = 60, backend = STORE, codec = "json")]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
