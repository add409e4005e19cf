//! Implementations of traits.

use std::sync::Arc;

use cached_runtime::async_cached;

trait Find {
    async fn find(&self, id: u64) -> Result<u64, String>;
    async fn by_name(&self, name: &str, list: &[u64]) -> Option<u64>;
}

#[async_trait::async_trait]
trait FindObject {
    async fn find(&self, id: u64, name: &str) -> Result<u64, String>;
    async fn any(id: u64) -> u64
    where
        Self: Sized;
}

#[async_trait::async_trait(?Send)]
trait FindLocal {
    async fn local(&self, id: u64) -> u64;
}

struct Users<T>(T);

impl<T: Send + Sync + 'static> Find for Users<T> {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64) -> Result<u64, String> {
        for n in 0.. {
            if n == id {
                break;
            }
            if n > 100 {
                return Err("too many".to_owned());
            }
        }
        let id: u64 = id.to_string().parse().map_err(|_| "no number")?;
        Ok(id)
    }

    #[async_cached(ttl = 60, key = (std::mem::size_of_val(&self.0), name, list))]
    async fn by_name(&self, name: &str, list: &[u64]) -> Option<u64> {
        let first = list.first()?;
        Some(first + name.len() as u64)
    }
}

#[async_trait::async_trait]
impl<T: Send + Sync + 'static> FindObject for Users<T> {
    #[async_cached(ttl = 60, skip(self))]
    async fn find(&self, id: u64, name: &str) -> Result<u64, String> {
        if id == 0 {
            return Err("none".to_owned());
        }
        tokio::task::yield_now().await;
        let n: u64 = name.parse().map_err(|_| "no number")?;
        Ok(id + n)
    }

    #[async_cached(ttl = 60, associated)]
    async fn any(id: u64) -> u64 {
        id
    }
}

#[async_trait::async_trait(?Send)]
impl FindLocal for Users<u8> {
    #[async_cached(ttl = 60, skip(self))]
    async fn local(&self, id: u64) -> u64 {
        let id = std::rc::Rc::new(id);
        tokio::task::yield_now().await;
        *id
    }
}

trait FindOwned {
    async fn owned(self, id: u64) -> u64;
}

impl FindOwned for Users<u64> {
    #[async_cached(ttl = 60, key = (self.0, id))]
    async fn owned(mut self, id: u64) -> u64 {
        self.0 += id;
        self.0
    }
}

#[tokio::test]
async fn methods_of_trait_impls_are_cached() {
    let users = Users(1_u8);
    assert_eq!(Find::find(&users, 5).await, Ok(5));
    assert_eq!(Find::find(&users, 5).await, Ok(5));
    assert!(Find::find(&users, 500).await.is_err());
    assert_eq!(users.by_name("a", &[1]).await, Some(2));
    assert_eq!(users.by_name("a", &[]).await, None);
    let object: Arc<dyn FindObject + Send + Sync> = Arc::new(Users(1_u8));
    assert_eq!(object.find(1, "5").await, Ok(6));
    assert!(object.find(0, "5").await.is_err());
    assert_eq!(<Users<u8> as FindObject>::any(1).await, 1);
    assert_eq!(users.local(1).await, 1);
    assert_eq!((Users(1_u64).owned(2).await, Users(2_u64).owned(2).await), (3, 4));
}
