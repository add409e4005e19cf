use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, backend = "memcached", skip(self))]
    pub async fn find(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users.find(1);
    let _ = Users::find_cache().peek(1);
}
