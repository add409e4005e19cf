use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user<T: Default>(id: u64) -> Option<T> {
    (id > 0).then(T::default)
}

fn main() {
    let _ = user::<u64>(1);
}
