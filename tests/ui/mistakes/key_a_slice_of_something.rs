use cached_runtime::async_cached;

struct Id(u64);

#[async_cached(ttl = 60)]
async fn users(ids: &[Id]) -> usize {
    ids.len()
}

fn main() {
    let _ = users(&[Id(1)]);
}
