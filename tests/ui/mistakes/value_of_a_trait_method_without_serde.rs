use cached_runtime::async_cached;
use cached_ui::STORE;

#[derive(Clone)]
struct User(u64);

trait Find {
    async fn find(&self, id: u64) -> User;
}

struct Users;

impl Find for Users {
    #[async_cached(ttl = 60, backend = STORE, skip(self))]
    async fn find(&self, id: u64) -> User {
        User(id)
    }
}

fn main() {
    let _ = Users.find(1);
}
