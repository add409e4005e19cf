use cached_runtime::async_cached;

#[async_cached(ttl = 60, key = (a,))]
async fn user((a, b): (u64, u64)) -> u64 {
    a + b
}

fn main() {
    let _ = user((1, 2));
}
