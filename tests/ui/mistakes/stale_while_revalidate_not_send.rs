use std::rc::Rc;

use cached_runtime::async_cached;

#[async_cached(ttl = 60, stale_while_revalidate = "30s")]
async fn user(id: u64) -> u64 {
    let id = Rc::new(id);
    std::future::ready(()).await;
    *id
}

fn main() {
    let _ = user(1);
}
