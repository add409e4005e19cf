use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
trait Users {
    fn user(&self, id: u64) -> u64;
}

struct Here;

impl Users for Here {
    fn user(&self, id: u64) -> u64 {
        id
    }
}

fn main() {
    let _ = Here.user(1);
}
