//! Return types that can be cached, under any name.

use std::sync::Arc;

use cached_runtime::async_cached;

use crate::count;

type Reply<T> = Result<T, Arc<str>>;
type Number = Result<u64, Unclonable>;
type Maybe<T> = Option<T>;

#[derive(Debug, PartialEq)]
pub struct Unclonable;

#[async_cached(ttl = 60)]
async fn io(id: u64) -> std::io::Result<u64> {
    if id == 0 { Err(std::io::Error::other("zero")) } else { Ok(id) }
}

count!(REPLY);

#[async_cached(ttl = 60)]
async fn alias(id: u64) -> Reply<u64> {
    count!(+ REPLY);
    if id == 0 { Err("zero".into()) } else { Ok(id) }
}

count!(NUMBER);

#[async_cached(ttl = 60)]
async fn bare_alias(id: u64) -> Number {
    count!(+ NUMBER);
    if id == 0 { Err(Unclonable) } else { Ok(id) }
}

count!(MAYBE);

#[async_cached(ttl = 60, share_err = |_| Unclonable, cache_err = "5s", stale_if_error = "1m")]
async fn shared_by_function(id: u64) -> Number {
    if id == 0 { Err(Unclonable) } else { Ok(id) }
}

#[async_cached(ttl = 60, share_err = "off", max_bytes = "1MiB", weigh = |_, _| 1)]
async fn not_shared(id: u64) -> Reply<u64> {
    Ok(id)
}

#[async_cached(ttl = 60, cache_err = "5s")]
async fn cached_by_text(id: u64) -> std::io::Result<u64> {
    if id == 0 { Err(std::io::Error::other("zero")) } else { Ok(id) }
}

/// Nothing is known of the error.
#[async_cached(ttl = 60)]
async fn generic<E: From<Unclonable> + 'static>(id: u64) -> Result<u64, E> {
    if id == 0 { Err(Unclonable.into()) } else { Ok(id) }
}

/// A function makes errors of any type.
#[async_cached(ttl = 60, share_err = |_| Unclonable.into())]
async fn generic_by_function<E: From<Unclonable> + Send + Sync + 'static>(id: u64) -> Result<u64, E> {
    if id == 0 { Err(Unclonable.into()) } else { Ok(id) }
}

pub struct Service;

impl Service {
    const fn copy(_: &Unclonable) -> Unclonable {
        Unclonable
    }

    #[async_cached(ttl = 60, skip(self), share_err = Self::copy)]
    pub async fn find(&self, id: u64) -> Number {
        if id == 0 { Err(Unclonable) } else { Ok(id) }
    }
}

#[async_cached(ttl = 60, cache_none = "5s")]
async fn option_alias(id: u64) -> Maybe<u64> {
    count!(+ MAYBE);
    (id > 0).then_some(id)
}

#[async_cached(ttl = 60, cache_none = "5s", cache_err = "5s")]
async fn both(id: u64) -> Reply<Maybe<u64>> {
    if id == 0 { Err("zero".into()) } else { Ok(None) }
}

#[async_cached(ttl = 60)]
async fn unit() {}

#[async_cached(ttl_from = |value: &u64| std::time::Duration::from_secs(*value), cache_if = |value| *value > 5)]
async fn looked_at(id: u64) -> Reply<u64> {
    Ok(id)
}

#[async_cached(ttl = 60, capacity = 10 * 10)]
async fn bounded(id: u64) -> Arc<[u8]> {
    Arc::from([id as u8])
}

#[async_cached(ttl = 60, max_bytes = "1MiB", weigh = |key, value| key.0.len() as u64 + value.len() as u64)]
async fn weighed(name: &str) -> Reply<String> {
    Ok(name.to_owned())
}

#[tokio::test]
async fn failures_are_recognized_by_type() {
    assert!(io(0).await.is_err());
    assert_eq!(io(1).await.unwrap(), 1);
    for _ in 0..2 {
        let _ = alias(0).await;
        let _ = alias(1).await;
        let _ = bare_alias(0).await;
        let _ = bare_alias(1).await;
        let _ = option_alias(0).await;
        let _ = option_alias(1).await;
    }
    for _ in 0..2 {
        assert!(shared_by_function(0).await.is_err() && cached_by_text(0).await.is_err());
        assert!(shared_by_function(1).await.is_ok() && cached_by_text(1).await.is_ok());
        assert!(not_shared(1).await.is_ok() && generic::<Unclonable>(1).await.is_ok());
        assert!(generic_by_function::<Unclonable>(1).await.is_ok() && Service.find(1).await.is_ok());
    }
    assert_eq!((shared_by_function::stats().computed, cached_by_text::stats().computed), (2, 2));
    assert_eq!((count!(= REPLY), count!(= NUMBER), count!(= MAYBE)), (3, 3, 2));
    alias::put(5, 6).await.unwrap();
    assert_eq!(alias(5).await, Ok(6));
    alias::put(5, Ok(7)).await.unwrap();
    assert_eq!(alias(5).await, Ok(7));
    let _ = both(0).await;
    assert_eq!(both::peek(0).await, Some(Err("zero".into())));
    let _ = both(1).await;
    assert_eq!(both::peek(1).await, Some(Ok(None)));
    unit().await;
    let _ = looked_at(5).await;
    let _ = looked_at(6).await;
    assert_eq!((looked_at::peek(5).await, looked_at::peek(6).await), (None, Some(Ok(6))));
    bounded(1).await;
    let _ = weighed("a").await;
    assert_eq!(weighed::peek("a").await, Some(Ok("a".to_owned())));
}
