#[async_cached(ttl = MINUTE, skip(db), cache_if = |value: &T| value.is_current())]
pub async fn load<T, const N: usize>(db: &Db, id: T::Id) -> Result<[T; N], Error>
where
    T: Entity,
{
    db.load(id).await
}
