use cached_runtime::async_cached;

static USERS: u64 = 1;

#[async_cached(ttl = 60, handle = USERS)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user(1);
}
