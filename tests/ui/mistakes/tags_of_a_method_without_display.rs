use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self), tags("user:{id}", "lang:{lang}"))]
    pub async fn user(&self, id: Option<u64>, lang: &str) -> usize {
        id.map_or(0, |_| lang.len())
    }
}

fn main() {
    let _ = Users.user(None, "en");
    let _ = Users::user_cache().expire((None, "en"));
}
