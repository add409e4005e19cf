use cached_runtime::async_cached;

#[async_cached(ttl = 60, key = (number.parse::<u64>()?,))]
async fn user(number: &str) -> Result<u64, std::num::ParseIntError> {
    number.parse()
}

fn main() {
    let _ = user("1");
}
