use std::rc::Rc;

use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(id: u64) -> Rc<u64> {
    Rc::new(id)
}

fn main() {
    let _ = user(1);
}
