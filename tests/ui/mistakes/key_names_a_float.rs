use cached_runtime::async_cached;

#[async_cached(ttl = 60, key = (radius,))]
async fn area(radius: f64) -> f64 {
    radius
}

fn main() {
    let _ = area(2.0);
}
