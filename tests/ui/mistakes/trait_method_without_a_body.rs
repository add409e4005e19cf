use cached_runtime::async_cached;

trait Users {
    #[async_cached(ttl = 60, skip(self))]
    fn user(&self, id: u64) -> impl Future<Output = u64>;
}

struct Here;

impl Users for Here {
    async fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Here.user(1);
}
