use cached_runtime::async_cached;

struct Failed(u64);

#[async_cached(ttl = 60, share_err = |_| Failed(id))]
async fn user(id: u64) -> Result<u64, Failed> {
    if id == 0 { Err(Failed(0)) } else { Ok(id) }
}

fn main() {
    let _ = user(1);
}
