use cached_runtime::async_cached;

struct Place {
    id: u64,
}

#[async_cached(ttl = 60, key = (place.uid,))]
async fn weather(place: &Place) -> u64 {
    place.id
}

fn main() {
    let _ = weather(&Place { id: 1 });
}
