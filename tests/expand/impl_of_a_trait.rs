#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> Result<User, Error> {
        let row = self.db.load(id).await?;
        Ok(row.into())
    }
}
