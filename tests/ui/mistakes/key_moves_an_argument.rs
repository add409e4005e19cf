use cached_runtime::async_cached;

#[async_cached(ttl = 60, key = (name.into_bytes(),))]
async fn user(name: String) -> u64 {
    name.len() as u64
}

#[async_cached(ttl = 60, key = ((name, id),))]
async fn pair(name: String, id: u64) -> u64 {
    id + name.len() as u64
}

fn main() {
    let _ = user(String::new());
    let _ = pair(String::new(), 1);
}
