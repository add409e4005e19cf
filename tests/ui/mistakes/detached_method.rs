use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self), detached)]
    async fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users.user(1);
}
