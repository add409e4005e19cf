use cached_runtime::async_cached;

macro_rules! area {
    ($ty:ty) => {
        #[async_cached(ttl = 60)]
        async fn area(radius: $ty) -> u64 {
            radius as u64
        }
    };
}

area!(f64);

fn main() {
    let _ = area(1.0);
}
