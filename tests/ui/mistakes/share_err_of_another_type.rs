use cached_runtime::async_cached;

struct Failed;

#[async_cached(ttl = 60, share_err = |error: &Failed| String::new())]
async fn user(id: u64) -> Result<u64, Failed> {
    if id == 0 { Err(Failed) } else { Ok(id) }
}

fn main() {
    let _ = user(1);
}
