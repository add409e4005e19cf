use cached_runtime::async_cached;

trait Find {
    async fn find(&self, id: u64) -> u64;
}

struct Users;

#[async_cached]
impl Find for Users {
    async fn find(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users.find(1);
}
