use cached_runtime::async_cached;

struct Users;

impl Users {
    #[async_cached(ttl = 60, skip(self))]
    pub async fn find(&self, id: u64) -> Result<u64, String> {
        if id == 0 {
            return "none";
        }
        Ok(id)
    }
}

fn main() {
    let _ = Users.find(1);
}
