use cached_runtime::async_cached;

static STORE: u64 = 1;

#[async_cached(ttl = 60, backend = STORE)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
