use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn area(radius: Option<f32>) -> f32 {
    radius.unwrap_or(1.0)
}

fn main() {
    let _ = area(None);
}
