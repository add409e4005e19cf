use cached_runtime::async_cached;

trait Find<K> {
    async fn find(&self, id: K) -> K;
}

struct Users;

#[async_cached]
impl Find<u8> for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u8) -> u8 {
        id
    }
}

#[async_cached]
impl Find<u16> for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u16) -> u16 {
        id
    }
}

fn main() {
    let _ = Users.find(1_u8);
    let _ = Users.find(1_u16);
}
