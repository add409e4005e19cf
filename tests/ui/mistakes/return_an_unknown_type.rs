use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(id: u64) -> Result<Customer, String> {
    Err(id.to_string())
}

fn main() {
    let _ = user(1);
}
