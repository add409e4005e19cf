use cached_runtime::async_cached;

trait Find<K> {
    async fn find(&self, id: u64) -> u64;
}

struct Users;

#[async_cached]
impl Find<u8> for Vec<u64> {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> u64 {
        id
    }
}

#[async_cached]
impl<T> Find<u16> for T {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> u64 {
        id
    }
}

#[async_cached]
impl<K: Send> Find<Option<K>> for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Find::<u8>::find(&vec![], 1);
}
