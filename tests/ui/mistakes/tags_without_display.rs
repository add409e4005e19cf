use cached_runtime::async_cached;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Id(u64);

#[async_cached(ttl = 60, tags("user:{id}"))]
async fn user(id: Id) -> u64 {
    id.0
}

fn main() {
    let _ = user(Id(1));
    let _ = user::expire(Id(1));
}
