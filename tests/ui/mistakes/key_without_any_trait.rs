use cached_runtime::async_cached;

struct Id(u64);

#[async_cached(ttl = 60)]
async fn user(id: &Id) -> u64 {
    id.0
}

fn main() {
    let _ = user(&Id(1));
    let _ = user::peek(&Id(1));
}
