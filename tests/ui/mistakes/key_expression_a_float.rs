use cached_runtime::async_cached;

struct Place {
    latitude: f64,
}

#[async_cached(ttl = 60, key = (place.latitude, day))]
async fn weather(place: &Place, day: u32) -> u64 {
    place.latitude as u64 + u64::from(day)
}

fn main() {
    let _ = weather(&Place { latitude: 1.0 }, 1);
}
