use cached_runtime::async_cached;

struct Failed(std::cell::Cell<u64>);

#[async_cached(ttl = 60, share_err = |error: &Failed| Failed(error.0.clone()))]
async fn user(id: u64) -> Result<u64, Failed> {
    if id == 0 { Err(Failed(0.into())) } else { Ok(id) }
}

fn main() {
    let _ = user(1);
}
