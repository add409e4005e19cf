#[async_cached(ttl = 60, backend = "redis", codec = "json", key = (place.id, lang))]
pub(crate) async fn weather(place: &Place, lang: &str, _verbose: bool) -> Result<Option<Weather>, Error> {
    ask(place, lang).await
}
