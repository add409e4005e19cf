use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn area(sides: &[(f64, f64)]) -> usize {
    sides.len()
}

fn main() {
    let _ = area(&[]);
}
