use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(pair: Option<(&str, u8)>) -> usize {
    pair.map_or(0, |pair| pair.0.len())
}

fn main() {
    let _ = user(None);
}
