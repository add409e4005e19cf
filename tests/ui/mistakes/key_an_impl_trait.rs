use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(name: impl Into<String>) -> String {
    name.into()
}

fn main() {
    let _ = user("");
}
