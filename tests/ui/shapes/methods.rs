//! Methods and associated functions.

use std::sync::Arc;

use cached_runtime::async_cached;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repo<T>(T);

impl<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static> Repo<T> {
    #[async_cached(ttl = 60, key = (self.0.clone(), id))]
    pub async fn find(&self, id: u64, _lang: &str) -> Result<(T, u64), String> {
        Ok((self.0.clone(), id))
    }

    #[async_cached(ttl = 60, skip(self))]
    async fn private(&self, id: u64) -> u64 {
        id
    }

    #[async_cached(ttl = 60, key = (self, id))]
    pub(crate) async fn whole(&self, id: u64) -> Self {
        let _ = id;
        self.clone()
    }

    #[async_cached(ttl = 60)]
    pub(self) async fn of(of: T) -> Self {
        Self(of)
    }

    #[async_cached(ttl = 60, associated)]
    pub async fn associated(id: u64) -> u64 {
        id
    }

    #[async_cached(ttl = 60)]
    pub async fn union(value: T) -> T {
        let union = Self(value);
        union.0
    }

    #[async_cached(ttl = 60, skip(self))]
    pub async fn shared(self: Arc<Self>, id: u64) -> u64 {
        id
    }

    #[async_cached(ttl = 60, skip(self), detached)]
    pub async fn detached(self: Arc<Self>, id: u64) -> T {
        tokio::task::yield_now().await;
        let _ = id;
        self.0.clone()
    }

    #[async_cached(ttl = 60, skip(self))]
    pub async fn generic<U: Clone + Eq + std::hash::Hash + Send + Sync + 'static, const N: usize>(
        &self,
        of: U,
    ) -> [U; N] {
        std::array::from_fn(|_| of.clone())
    }

    #[async_cached(ttl = 60, skip(self))]
    pub async fn r#type(&self, r#in: Option<&str>, pair: (u64, &str)) -> usize {
        r#in.map_or(0, str::len) + pair.1.len()
    }
}

/// Two methods with the same name in one module.
pub struct Other;

impl Other {
    #[async_cached(ttl = 60, skip(self))]
    pub async fn find(&self, id: u64) -> u64 {
        id + 100
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page(u64);

impl Page {
    #[async_cached(ttl = 60, key = (self, id))]
    pub async fn row(self, id: u64) -> u64 {
        self.0 * 10 + id
    }

    #[async_cached(ttl = 60, key = (self.0, id), detached)]
    pub async fn next(mut self, id: u64) -> u64 {
        self.0 += 1;
        self.0 * 10 + id
    }

    #[async_cached(ttl = 60, skip(self))]
    pub async fn last(mut self, id: u64) -> u64 {
        self.0 += id;
        self.0
    }
}

#[tokio::test]
async fn self_can_be_taken_by_value() {
    assert_eq!(Page(1).row(2).await, 12);
    assert_eq!(Page(2).row(2).await, 22);
    assert_eq!(Page::row_cache().peek((Page(1), 2)).await, Some(12));
    Page::row_cache().put((Page(1), 2), 7).await.unwrap();
    assert_eq!(Page(1).row(2).await, 7);
    assert_eq!(Page(1).row_uncached(2).await, 12);
    assert_eq!(Page(1).next(2).await, 22);
    assert_eq!(Page::next_cache().peek((Page(1), 2)).await, Some(22));
    assert_eq!(Page(1).last(2).await, 3);
    assert_eq!(Page(5).last(2).await, 3);
    assert_eq!(Page(5).last_refresh(2).await, 7);
}

#[tokio::test]
async fn methods_have_companions() {
    let (one, two) = (Repo(1_u8), Repo(2_u8));
    assert_eq!(one.find(1, "en").await, Ok((1, 1)));
    assert_eq!(two.find(1, "en").await, Ok((2, 1)));
    Repo::find_cache().invalidate((&one, 1)).await.unwrap();
    assert_eq!(Repo::find_cache().peek((&one, 1)).await, None);
    assert_eq!(Repo::find_cache().peek((&two, 1)).await, Some(Ok((2, 1))));
    assert_eq!(one.find_refresh(1, "en").await, Ok((1, 1)));
    assert_eq!(one.find_uncached(1, "en").await, Ok((1, 1)));
    assert_eq!(one.private(1).await, two.private(1).await);
    assert_eq!(one.whole(1).await, one);
    assert_eq!(two.whole(1).await, two);
    assert_eq!(Repo::whole_cache().peek((&one, 1)).await, Some(one.clone()));
    assert_eq!(Repo::of(3_u8).await, Repo(3));
    assert_eq!(Repo::of_cache().peek(3_u8).await, Some(Repo(3)));
    assert_eq!(Repo::union(4_u8).await, 4);
    assert_eq!(Repo::union_cache().peek(4_u8).await, Some(4));
    assert_eq!(Repo::<u8>::associated(1).await, 1);
    Repo::<u8>::associated_cache().put(1, 2).await.unwrap();
    assert_eq!(Repo::<u8>::associated(1).await, 2);
    assert_eq!(Arc::new(one.clone()).shared(1).await, 1);
    assert_eq!(Arc::new(one.clone()).detached(1).await, 1);
    assert_eq!(one.generic::<_, 2>('a').await, ['a', 'a']);
    assert_eq!(Repo::<u8>::generic_cache::<char, 2>().peek('a').await, Some(['a', 'a']));
    assert_eq!(one.r#type(Some("a"), (1, "b")).await, 2);
    assert_eq!(Repo::<u8>::type_cache().peek((Some("a"), (1, "b"))).await, Some(2));
    assert_eq!(Other.find(1).await, 101);
}
