use cached_runtime::async_cached;

trait Find {
    async fn find(id: u64) -> u64;
}

struct Users;

impl Find for Users {
    #[async_cached(ttl = 60)]
    async fn find(id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users::find(1);
}
