use cached_runtime::async_cached;

trait Find {
    async fn typo(&self, id: u64) -> u64;
    async fn untyped(&self, id: u64) -> u64;
    async fn wrong(&self, id: u64) -> u64;
    async fn unnamed(&self, id: u64) -> u64;
}

struct Users;

#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, key = (shard(idd),), skip(self))]
    async fn typo(&self, id: u64) -> u64 {
        id
    }

    #[async_cached(ttl = 60, skip(self))]
    async fn untyped(&self, id: Missing) -> u64 {
        1
    }

    #[async_cached(ttl = 60, skip(self))]
    async fn wrong(&self, id: u64) -> u64 {
        id;
    }

    #[async_cached(ttl = 60, skip(self))]
    async fn unnamed(&self, id: u64) -> u64 {
        idd
    }
}

fn shard(id: u64) -> u64 {
    id % 16
}

fn main() {}
