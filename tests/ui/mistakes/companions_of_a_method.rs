use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self), companions = FindUser)]
    pub async fn find(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users.find(1);
}
