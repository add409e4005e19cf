use cached_runtime::async_cached;
use cached_ui::STORE;

struct Id(u64);

#[async_cached(ttl = 60, backend = STORE)]
async fn user(id: Option<&Id>) -> bool {
    id.is_some()
}

fn main() {
    let _ = user(Some(&Id(1)));
}
