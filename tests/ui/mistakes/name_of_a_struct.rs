use cached_runtime::async_cached;

#[allow(non_camel_case_types)]
struct user {}

#[async_cached(ttl = 60)]
async fn user_of(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 60)]
async fn user(id: u64) -> u64 {
    id
}

fn main() {
    let _ = user_of(1);
}
