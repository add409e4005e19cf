use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user<T: std::hash::Hash + Eq + Clone + Send + Sync>(id: T) -> u64 {
    let _ = id;
    1
}

fn main() {
    let _ = user(1);
}
