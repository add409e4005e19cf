impl Users {
    #[async_cached(ttl = "5m", skip(self), name = "users")]
    pub async fn find(&self, id: u64, lang: &str) -> Result<User, Error> {
        self.db.load(id, lang).await
    }
}
