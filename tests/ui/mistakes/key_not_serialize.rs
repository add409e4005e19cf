use cached_runtime::async_cached;
use cached_ui::STORE;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Id(u64);

#[async_cached(ttl = 60, backend = STORE)]
async fn user(id: Id, lang: &str) -> u64 {
    id.0 + lang.len() as u64
}

fn main() {
    let _ = user(Id(1), "en");
    let _ = user::peek(Id(1), "en");
}
