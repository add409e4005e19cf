use cached_runtime::async_cached;

struct User(u64);

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self))]
    pub async fn find(&self, id: u64) -> Option<User> {
        Some(User(id))
    }
}

fn main() {
    let _ = Users.find(1);
    let _ = Users::find_cache().peek(1);
}
