use cached_runtime::async_cached;

type Degrees = f64;

#[async_cached(ttl = 60)]
async fn weather(latitude: Degrees) -> u64 {
    latitude as u64
}

fn main() {
    let _ = weather(1.0);
    let _ = weather::invalidate(1.0);
}
