use cached_runtime::async_cached;

#[async_cached(ttl = 60, key = id, lang)]
async fn user(id: u64, lang: &str) -> u64 {
    id + lang.len() as u64
}

fn main() {
    let _ = user(1, "en");
}
