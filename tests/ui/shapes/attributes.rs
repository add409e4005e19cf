//! Other attributes on a cached function.

use cached_runtime::async_cached;

/// Documented.
#[doc(hidden)]
#[inline]
#[must_use]
#[async_cached(ttl = 60)]
pub async fn documented(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 60)]
#[must_use = "it took long"]
#[allow(clippy::cast_lossless)]
pub(crate) async fn below(id: u8) -> u64 {
    id as u64
}

#[deprecated(note = "for the test")]
#[async_cached(ttl = 60)]
async fn deprecated(id: u64) -> u64 {
    id
}

#[async_cached(ttl = 60)]
#[expect(clippy::cast_lossless, reason = "the body fulfills it, wherever the expansion moves it")]
#[expect(unused_variables, reason = "so is this")]
async fn expecting(id: u8) -> u64 {
    let unused = 1;
    id as u64
}

struct Expecting;

impl Expecting {
    #[async_cached(ttl = 60, skip(self))]
    #[expect(clippy::cast_lossless, reason = "the body fulfills it, wherever the expansion moves it")]
    async fn private(&self, id: u8) -> u64 {
        id as u64
    }

    #[async_cached(ttl = 60, skip(self))]
    #[expect(clippy::cast_lossless, reason = "the body fulfills it, wherever the expansion moves it")]
    pub async fn visible(&self, id: u8) -> u64 {
        id as u64
    }
}

#[cfg(any())]
#[async_cached(ttl = 60)]
async fn never(id: Missing) -> u64 {
    id
}

#[async_cached(ttl = 60)]
#[cfg(any())]
async fn never_below(id: Missing) -> u64 {
    id
}

#[async_cached(ttl = 60)]
#[cfg(not(any()))]
async fn always(id: u64) -> u64 {
    id
}

#[cfg_attr(all(), async_cached(ttl = 60))]
async fn by_cfg_attr(id: u64) -> u64 {
    id
}

#[tracing::instrument]
#[async_cached(ttl = 60)]
async fn traced_above(id: u64) -> Result<u64, String> {
    let id = id.checked_add(1).ok_or("too much")?;
    Ok(id)
}

#[async_cached(ttl = 60)]
#[tracing::instrument(skip(name), fields(id = id))]
async fn traced_below(id: u64, name: &str) -> Result<u64, String> {
    if name.is_empty() {
        return Err("none".to_owned());
    }
    Ok(id)
}

#[async_recursion::async_recursion]
#[async_cached(ttl = 60)]
async fn recursion_above(n: u64) -> u64 {
    if n < 2 { n } else { recursion_above(n - 1).await + recursion_above(n - 2).await }
}

#[async_cached(ttl = 60)]
#[async_recursion::async_recursion]
async fn recursion_below(n: u64) -> u64 {
    if n < 2 { n } else { recursion_below(n - 1).await + recursion_below(n - 2).await }
}

#[tokio::test]
async fn other_attributes_are_preserved() {
    assert_eq!(documented(1).await, 1);
    assert_eq!(documented::peek(1).await, Some(1));
    assert_eq!(below(1).await, 1);
    #[expect(deprecated, reason = "the attribute went with the function")]
    let one = deprecated(1).await;
    assert_eq!(one, 1);
    expecting(1).await;
    Expecting.private(1).await;
    Expecting.visible(1).await;
    always(1).await;
    assert_eq!(always::peek(1).await, Some(1));
    by_cfg_attr(1).await;
    assert_eq!(by_cfg_attr::peek(1).await, Some(1));
    traced_above(1).await.unwrap();
    assert_eq!(traced_above::peek(1).await, Some(Ok(2)));
    traced_below(1, "a").await.unwrap();
    assert_eq!(traced_below::peek(1, "a").await, Some(Ok(1)));
    assert_eq!(recursion_above(30).await, 832_040);
    assert_eq!(recursion_below(30).await, 832_040);
    assert_eq!(recursion_below::peek(20).await, Some(6_765));
}
