use std::rc::Rc;

use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self), refresh_ahead)]
    pub async fn user(self: std::sync::Arc<Self>, id: u64) -> u64 {
        let id = Rc::new(id);
        std::future::ready(()).await;
        *id
    }
}

fn main() {
    let _ = std::sync::Arc::new(Users).user(1);
}
