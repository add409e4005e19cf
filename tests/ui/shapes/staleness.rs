//! Options for staleness, refreshes, jitter and timeouts, in every place.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cached_runtime::{Lookup, Source, async_cached};

use crate::count;

const MINUTE: Duration = Duration::from_secs(60);
/// The type of the setter is `usize`.
const PLACES: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub enum Failed {
    Late,
    Other,
}

impl From<cached_runtime::Error> for Failed {
    fn from(_: cached_runtime::Error) -> Self {
        Self::Late
    }
}

type Reply<T> = Result<T, Failed>;

/// All options at once, with owned arguments and an `Arc`, because the computation can run in the background.
#[async_cached(
    ttl = MINUTE,
    stale_while_revalidate = MINUTE * 2,
    stale_if_error = "1h",
    refresh_ahead = 0.3,
    jitter = 0.1,
    timeout = 5,
    max_concurrent = 16,
    tags("all")
)]
async fn all(id: u64, name: String) -> Reply<u64> {
    Ok(id + name.len() as u64)
}

count!(EXPIRED);

#[async_cached(ttl = 60, stale_while_revalidate = "1h", refresh_ahead)]
async fn background(value: u64) -> u64 {
    count!(+ EXPIRED);
    value
}

#[async_cached(ttl = 60, stale_if_error = 30, jitter = 0)]
async fn borrowed(name: &str, place: &[u64]) -> Reply<usize> {
    if name.is_empty() { Err(Failed::Other) } else { Ok(name.len() + place.len()) }
}

#[async_cached(ttl = 60, timeout = "1ms")]
async fn late(name: &str) -> Reply<usize> {
    tokio::time::sleep(MINUTE).await;
    Ok(name.len())
}

#[async_cached(ttl = 60, timeout = MINUTE, max_concurrent = PLACES)]
async fn boxed(id: u64) -> Result<u64, Box<dyn std::error::Error>> {
    Ok(id)
}

#[async_cached(ttl = 60, timeout = "2s", cache_err = "5s", stale_if_error = "5s")]
async fn ours(id: Option<&str>) -> Reply<Option<u64>> {
    Ok(id.map(|id| id.len() as u64))
}

#[async_cached(ttl_from = |_: &[u64; N]| MINUTE, refresh_ahead = 1, stale_while_revalidate = "1s")]
async fn generic<T, const N: usize>(of: T) -> Reply<[u64; N]>
where
    T: Clone + Eq + std::hash::Hash + Into<u64> + Send + Sync + 'static,
{
    Ok([of.into(); N])
}

/// Parameters with names that the expansion uses.
#[async_cached(ttl = 60, stale_while_revalidate = "1s")]
async fn clashes(value: u64, tags: u64, looked: u64, verb: u64, miss: u64, body: u64) -> u64 {
    value + tags + looked + verb + miss + body
}

pub struct Users(u64);

impl Users {
    #[async_cached(
        ttl = 60,
        skip(self),
        stale_while_revalidate = "30s",
        stale_if_error = "1h",
        refresh_ahead
    )]
    pub async fn find(self: Arc<Self>, id: u64) -> Reply<u64> {
        Ok(self.0 + id)
    }

    #[async_cached(ttl = 60, key = (self.0, r#type), stale_if_error = "1h", jitter = 0.5, timeout = "1s")]
    pub async fn r#match(&self, r#type: &str) -> Reply<usize> {
        Ok(r#type.len())
    }

    #[async_cached(ttl = 60, associated, stale_while_revalidate = "30s")]
    pub async fn associated(value: u64) -> u64 {
        value
    }
}

#[cfg(feature = "store")]
impl Users {
    #[async_cached(
        ttl = 60,
        backend = cached_ui::STORE,
        skip(self),
        stale_while_revalidate = "30s",
        tags("user:{name}")
    )]
    pub async fn shared(self: Arc<Self>, name: String) -> usize {
        name.len()
    }
}

trait Find {
    fn find_one(self: Arc<Self>, id: u64) -> impl Future<Output = Reply<u64>> + Send;
}

#[async_trait::async_trait]
trait FindObject {
    async fn find_object(self: Arc<Self>, id: u64) -> Reply<u64>;
    async fn find_borrowed(&self, name: &str) -> Reply<usize>;
}

#[async_cached]
impl Find for Users {
    #[async_cached(ttl = 60, skip(self), stale_while_revalidate = "1s", timeout = "1s", jitter = 0.2)]
    async fn find_one(self: Arc<Self>, id: u64) -> Reply<u64> {
        tokio::task::yield_now().await;
        Ok(self.0 + id)
    }
}

#[async_trait::async_trait]
impl FindObject for Users {
    #[async_cached(ttl = 60, skip(self), stale_while_revalidate = "1s", refresh_ahead, stale_if_error = "1s")]
    async fn find_object(self: Arc<Self>, id: u64) -> Reply<u64> {
        tokio::task::yield_now().await;
        Ok(self.0 + id)
    }

    #[async_cached(ttl = 60, skip(self), stale_if_error = "1s", timeout = "1s", jitter = 0.2)]
    async fn find_borrowed(&self, name: &str) -> Reply<usize> {
        Ok(name.len())
    }
}

#[tokio::test]
async fn options_work_on_a_function() {
    assert_eq!(all(1, "a".to_owned()).await, Ok(2));
    all::expire(1, "a".to_owned()).await.unwrap();
    let Lookup { value, source, .. } = all::lookup(1, "a".to_owned()).await;
    assert_eq!((value, source), (Ok(2), Source::Stale));

    background(1).await;
    assert_eq!(background::lookup(1).await.source, Source::Memory);
    background::expire(1).await.unwrap();
    assert_eq!(background::lookup(1).await.source, Source::Stale);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((count!(= EXPIRED), background::lookup(1).await.source), (2, Source::Memory));

    assert_eq!(borrowed("a", &[1]).await, Ok(2));
    assert_eq!(borrowed::lookup("", &[1]).await.value, Err(Failed::Other));
    assert_eq!(late("a").await, Err(Failed::Late));
    assert_eq!(late::lookup("a").await.value, Err(Failed::Late));
    assert_eq!(boxed(1).await.unwrap(), 1);
    assert_eq!(boxed::lookup(1).await.value.unwrap(), 1);
    assert_eq!(ours(Some("a")).await, Ok(Some(1)));
    assert_eq!(ours::lookup(None).await.value, Ok(None));
    assert_eq!(generic::<u8, 2>(1).await, Ok([1, 1]));
    generic::expire::<u8, 2>(1).await.unwrap();
    assert_eq!(generic::lookup::<u8, 2>(1).await.source, Source::Stale);
    assert_eq!(clashes(1, 2, 3, 4, 5, 6).await, 21);
    clashes::expire(1, 2, 3, 4, 5, 6).await.unwrap();
    assert_eq!(clashes::lookup(1, 2, 3, 4, 5, 6).await.source, Source::Stale);
}

#[tokio::test]
async fn options_work_on_a_method() {
    let users = Arc::new(Users(1));
    assert_eq!(Arc::clone(&users).find(1).await, Ok(2));
    Users::find_cache().expire(1).await.unwrap();
    assert_eq!(Arc::clone(&users).find_lookup(1).await.source, Source::Stale);
    assert_eq!(users.r#match("a").await, Ok(1));
    Users::match_cache().expire((&users, "a")).await.unwrap();
    assert_eq!(users.match_lookup("a").await.source, Source::Computed);
    assert_eq!(Users::associated(1).await, 1);
    assert_eq!(Users::associated_lookup(1).await.source, Source::Memory);
    assert_eq!(Arc::clone(&users).find_one(1).await, Ok(2));
    assert_eq!(Users::find_one_cache().stats().computed, 1);
    assert_eq!(Arc::clone(&users).find_object(1).await, Ok(2));
    assert_eq!(users.find_borrowed("a").await, Ok(1));
}

#[cfg(feature = "store")]
#[tokio::test]
async fn options_work_with_a_store() {
    #[async_cached(
        ttl = 60,
        backend = cached_ui::STORE,
        stale_while_revalidate = "30s",
        stale_if_error = "1h",
        refresh_ahead,
        jitter = 0.2,
        timeout = "2s",
        tags("user:{id}"),
        tags_from = |value: &u64| vec![format!("value:{value}")]
    )]
    async fn shared(id: u64) -> Reply<u64> {
        Ok(id)
    }

    assert_eq!(shared(1).await, Ok(1));
    shared::expire(1).await.unwrap();
    assert_eq!(shared::lookup(1).await.source, Source::Computed);
    let users = Arc::new(Users(1));
    assert_eq!(Arc::clone(&users).shared("a".to_owned()).await, 1);
    Users::shared_cache().expire("a".to_owned()).await.unwrap();
    assert_eq!(users.shared_lookup("a".to_owned()).await.source, Source::Computed);
}
