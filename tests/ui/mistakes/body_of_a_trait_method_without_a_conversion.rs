use cached_runtime::async_cached;

#[derive(Clone)]
struct NotFound;

trait Find {
    async fn find(&self, id: &str) -> Result<u64, NotFound>;
}

struct Users;

impl Find for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: &str) -> Result<u64, NotFound> {
        Ok(id.parse::<u64>()?)
    }
}

fn main() {
    let _ = Users.find("1");
}
