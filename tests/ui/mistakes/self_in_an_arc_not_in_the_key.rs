use cached_runtime::async_cached;

use std::sync::Arc;

struct Users;

impl Users {
    #[async_cached(ttl = 60)]
    async fn user(self: Arc<Self>, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Arc::new(Users).user(1);
}
