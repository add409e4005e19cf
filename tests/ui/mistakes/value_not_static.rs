use std::fmt::Display;

use cached_runtime::async_cached;

#[async_cached(ttl = 60, skip(show))]
async fn user<T: Display + Clone + Send + Sync>(id: u64, show: T) -> Option<T> {
    (id > 0).then_some(show)
}

fn main() {
    let _ = user(1, 'x');
}
