use cached_runtime::async_cached;

struct Id(u64);

trait Find {
    async fn find(&self, id: Id) -> u64;
}

struct Users;

impl Find for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: Id) -> u64 {
        id.0
    }
}

fn main() {
    let _ = Users.find(Id(1));
}
