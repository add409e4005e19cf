use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self), key = (place.id(),))]
    pub async fn find(&self, plaice: &str) -> usize {
        plaice.len()
    }
}

fn main() {
    let _ = Users.find("1");
}
