use cached_runtime::async_cached;

struct User(u64);

trait Find {
    async fn find(&self, id: u64) -> User;
}

struct Users;

impl Find for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> User {
        User(id)
    }
}

fn main() {
    let _ = Users.find(1);
}
