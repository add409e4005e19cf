use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn names(ids: &[&str]) -> usize {
    ids.len()
}

fn main() {
    drop(names(&["a"]));
}
