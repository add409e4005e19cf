use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
fn user(id: u64) -> impl Future<Output = u64> {
    async move { id }
}

fn main() {
    let _ = user(1);
}
