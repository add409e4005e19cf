use cached_runtime::async_cached;

#[async_cached(ttl = 60, share_err = |error: &String| error.clone())]
async fn user(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {
    let _ = user(1);
}
