use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60)]
    pub async fn find(id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Users::find(1);
}
