use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self), stale_while_revalidate = "30s")]
    async fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users.user(1);
}
