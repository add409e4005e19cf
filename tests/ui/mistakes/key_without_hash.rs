use cached_runtime::async_cached;

#[derive(Clone, PartialEq, Eq)]
struct Id(u64);

#[async_cached(ttl = 60)]
async fn user(id: Id, lang: &str) -> u64 {
    id.0 + lang.len() as u64
}

fn main() {
    let _ = user(Id(1), "en");
    let _ = user::peek(Id(1), "en");
}
