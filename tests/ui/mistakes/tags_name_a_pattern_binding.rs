use cached_runtime::async_cached;

#[async_cached(ttl = 60, tags("user:{id}"))]
async fn user((id, lang): (u64, String)) -> u64 {
    id + lang.len() as u64
}

fn main() {
    let _ = user((1, String::new()));
}
