use cached_runtime::async_cached;

#[async_cached(ttl = 60, tags(String::from(name)))]
async fn user(name: String) -> u64 {
    name.len() as u64
}

fn main() {
    let _ = user(String::new());
}
