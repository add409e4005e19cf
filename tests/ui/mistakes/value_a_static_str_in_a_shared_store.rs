use cached_runtime::async_cached;

#[async_cached(ttl = 60, backend = cached_ui::STORE)]
async fn user(id: u64) -> &'static str {
    if id > 0 { "user" } else { "nobody" }
}

#[async_cached(ttl = 60, backend = cached_ui::STORE)]
async fn fallible(id: u64) -> Result<Vec<&'static str>, &'static str> {
    Ok(vec![user(id).await])
}

fn main() {
    let _ = fallible(1);
}
