use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user<T: ToString>(id: T) -> String {
    id.to_string()
}

fn main() {
    let _ = user(1);
}
