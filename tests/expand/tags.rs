#[async_cached(
    ttl = "10m",
    stale_while_revalidate = "1m",
    tags("user:{id}", "type:{type}:{{}}", format!("lang:{lang}"), USERS)
)]
pub async fn user(id: u64, r#type: Kind, lang: String) -> Result<User, Error> {
    find(id, r#type, lang).await
}
