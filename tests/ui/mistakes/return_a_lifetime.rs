use cached_runtime::async_cached;

use std::borrow::Cow;

#[async_cached(ttl = 60)]
async fn user<'a>(name: &'a str) -> Cow<'a, str> {
    name.into()
}

fn main() {
    let _ = user("");
}
