use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn user(id: ) -> u64 {
    1
}

fn main() {}
