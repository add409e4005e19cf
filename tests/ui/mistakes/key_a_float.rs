use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn area(id: u64, radius: f64) -> f64 {
    radius * id as f64
}

fn main() {
    let _ = area(1, 2.0);
}
