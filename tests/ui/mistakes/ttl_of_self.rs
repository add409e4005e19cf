use std::time::Duration;

use cached_runtime::async_cached;

struct Repo;

impl Repo {
    const TTL: Duration = Duration::from_secs(60);

    #[async_cached(ttl = Self::TTL, skip(self))]
    pub async fn find(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Repo::TTL;
}
