use cached_runtime::async_cached;

fn shard(id: u64) -> u64 {
    id % 8
}

#[async_cached(ttl = 60, key = (shard(idd),))]
async fn user(id: u64, lang: &str) -> u64 {
    id + lang.len() as u64
}

fn main() {
    let _ = user(1, "en");
}
