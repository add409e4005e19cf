use cached_runtime::async_cached;

#[async_cached(ttl = 60, skip(db), key = (id,))]
async fn user(db: &str, id: u64) -> u64 {
    id + db.len() as u64
}

fn main() {
    let _ = user("", 1);
}
