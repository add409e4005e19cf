use cached_runtime::async_cached;

#[async_cached(ttl = 60, skip(log))]
async fn user(id: u64, log: &mut Vec<u64>) {
    log.push(id);
}

fn main() {
    let _ = user(1, &mut Vec::new());
}
