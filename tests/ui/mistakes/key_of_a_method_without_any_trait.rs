use cached_runtime::async_cached;

struct Id(u64);

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self))]
    pub async fn find(&self, id: Id) -> u64 {
        id.0
    }
}

fn main() {
    let _ = Users.find(Id(1));
    let _ = Users::find_cache().peek(Id(1));
}
