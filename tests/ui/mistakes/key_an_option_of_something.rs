use cached_runtime::async_cached;

struct Id(u64);

#[async_cached(ttl = 60)]
async fn user(id: Option<&Id>) -> bool {
    id.is_some()
}

fn main() {
    let _ = user(Some(&Id(1)));
}
