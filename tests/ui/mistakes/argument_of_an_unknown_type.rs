use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(id: UserId, lang: &str) -> usize {
    lang.len()
}

fn main() {
    let _ = user(1, "en");
}
