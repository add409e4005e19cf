use cached_runtime::async_cached;

trait HasKey {
    type Key;
}

trait Find: HasKey {
    async fn find(&self, id: Self::Key) -> u64;
}

struct Users;

impl HasKey for Users {
    type Key = u64;
}

#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: Self::Key) -> u64 {
        id
    }
}

fn main() {
    let _ = Users.find(1);
}
