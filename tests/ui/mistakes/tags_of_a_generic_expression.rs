use cached_runtime::async_cached;

#[async_cached(ttl = 60, tags("users", id))]
async fn user<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(id: T) -> bool {
    id == id.clone()
}

fn main() {
    let _ = user(1);
    let _ = user::lookup(1);
}
