use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
#[async_cached(ttl = 60)]
async fn user(id: u64) -> u64 {
    id
}

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self))]
    #[cached_runtime::async_cached]
    pub async fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = user(1);
    let _ = Users.user(1);
}
