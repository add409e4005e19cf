use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60)]
    async fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users.user(1);
}
