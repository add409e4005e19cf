use cached_runtime::async_cached;

#[derive(PartialEq, Eq, Hash)]
struct Id(u64);

#[async_cached(ttl = 60)]
async fn user(id: Id) -> u64 {
    id.0
}

fn main() {
    let _ = user(Id(1));
}
