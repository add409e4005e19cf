#[async_cached(ttl = 60)]
async fn user(id: u64) -> User {
    load(id).await
}
