//! The companions of a cached method.

use std::fmt;
use std::future::Future;

use super::operations::{AnyOperation, AnyOutput};
use crate::signature::FromValue;
use crate::{BoxFuture, Result, Stats};

/// The companions of a cached method: what `Type::find_cache()` returns for a method `find`.
///
/// `K` is what makes the key, as the method takes it: one argument as it is, several as a tuple, and `&Self` first
/// if `self` is in the key. `R` is what the method returns. The verbs that compute stand beside the method:
/// `find_uncached` and `find_refresh`.
///
/// ```
/// use cached_runtime::async_cached;
///
/// struct Shop;
///
/// impl Shop {
///     #[async_cached(ttl = 60, skip(self))]
///     pub async fn price(&self, product: u64, currency: &str) -> u64 {
///         product * currency.len() as u64
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// assert_eq!(Shop.price(5, "EUR").await, 15);
/// assert_eq!(Shop::price_cache().peek((5, "EUR")).await, Some(15));
/// Shop::price_cache().invalidate((5, "EUR")).await?;
/// assert_eq!(Shop::price_cache().peek((5, "EUR")).await, None);
/// # Ok(())
/// # }
/// ```
pub struct MethodCache<K, R> {
    at: fn(AnyOperation<R>, K) -> BoxFuture<'static, AnyOutput<R>>,
    clear: fn() -> BoxFuture<'static, Result<()>>,
    stats: fn() -> Stats,
}

impl<K, R: 'static> MethodCache<K, R> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        at: fn(AnyOperation<R>, K) -> BoxFuture<'static, AnyOutput<R>>,
        clear: fn() -> BoxFuture<'static, Result<()>>,
        stats: fn() -> Stats,
    ) -> Self {
        Self { at, clear, stats }
    }

    /// Removes the value under a key, and voids the computation of it that is under way.
    ///
    /// # Errors
    ///
    /// What the shared store said, if it could not be told.
    ///
    /// ```
    /// # use cached_runtime::async_cached;
    /// # struct Shop;
    /// # impl Shop {
    /// #     #[async_cached(ttl = 60, skip(self))]
    /// #     pub async fn price(&self, product: u64, currency: &str) -> u64 {
    /// #         product * currency.len() as u64
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Shop.price(5, "EUR").await;
    /// Shop::price_cache().invalidate((5, "EUR")).await?;
    /// assert_eq!(Shop::price_cache().peek((5, "EUR")).await, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn invalidate(&self, key: K) -> impl Future<Output = Result<()>> + Send + use<K, R> {
        changed((self.at)(AnyOperation::Invalidate, key))
    }

    /// Makes the value under a key stale, and voids the computation of it that is under way.
    ///
    /// # Errors
    ///
    /// What the shared store said, if it could not be told.
    ///
    /// ```
    /// use cached_runtime::async_cached;
    ///
    /// struct Shop;
    ///
    /// impl Shop {
    ///     #[async_cached(ttl = 60, skip(self))]
    ///     pub async fn price(&self, product: u64) -> u64 {
    ///         product
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Shop.price(7).await;
    /// Shop::price_cache().expire(7).await?;
    /// Shop.price(7).await;
    /// assert_eq!(Shop::price_cache().stats().computed, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn expire(&self, key: K) -> impl Future<Output = Result<()>> + Send + use<K, R> {
        changed((self.at)(AnyOperation::Expire, key))
    }

    /// Stores a value that the application already has, for as long as if it had been computed; `Ok` and `Some`
    /// may be left out.
    ///
    /// # Errors
    ///
    /// What the shared store said, or why the value could not be turned into bytes.
    ///
    /// ```
    /// # use cached_runtime::async_cached;
    /// # struct Shop;
    /// # impl Shop {
    /// #     #[async_cached(ttl = 60, skip(self))]
    /// #     pub async fn price(&self, product: u64, currency: &str) -> u64 {
    /// #         product * currency.len() as u64
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Shop::price_cache().put((5, "EUR"), 20).await?;
    /// assert_eq!(Shop.price(5, "EUR").await, 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put<V>(&self, key: K, value: V) -> impl Future<Output = Result<()>> + Send + use<K, R, V>
    where
        R: FromValue<V>,
    {
        changed((self.at)(AnyOperation::Put(R::from_value(value)), key))
    }

    /// What a call would find, without computing anything.
    ///
    /// ```
    /// # use cached_runtime::async_cached;
    /// # struct Shop;
    /// # impl Shop {
    /// #     #[async_cached(ttl = 60, skip(self))]
    /// #     pub async fn price(&self, product: u64, currency: &str) -> u64 {
    /// #         product * currency.len() as u64
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// assert_eq!(Shop::price_cache().peek((5, "EUR")).await, None);
    /// Shop.price(5, "EUR").await;
    /// assert_eq!(Shop::price_cache().peek((5, "EUR")).await, Some(15));
    /// # Ok(())
    /// # }
    /// ```
    pub fn peek(&self, key: K) -> impl Future<Output = Option<R>> + Send + use<K, R> {
        let done = (self.at)(AnyOperation::Peek, key);
        async {
            match done.await {
                AnyOutput::Peeked(output) => output,
                AnyOutput::Changed(_) => None,
            }
        }
    }

    /// Removes every value of this method.
    ///
    /// # Errors
    ///
    /// What the shared store said, if it could not be told.
    ///
    /// ```
    /// # use cached_runtime::async_cached;
    /// # struct Shop;
    /// # impl Shop {
    /// #     #[async_cached(ttl = 60, skip(self))]
    /// #     pub async fn price(&self, product: u64, currency: &str) -> u64 {
    /// #         product * currency.len() as u64
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Shop.price(5, "EUR").await;
    /// Shop.price(5, "USD").await;
    /// Shop::price_cache().clear().await?;
    /// assert_eq!(Shop::price_cache().stats().entries, 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub fn clear(&self) -> BoxFuture<'static, Result<()>> {
        (self.clear)()
    }

    /// What the method has done so far, of all instances of its type together.
    ///
    /// ```
    /// # use cached_runtime::async_cached;
    /// # struct Shop;
    /// # impl Shop {
    /// #     #[async_cached(ttl = 60, skip(self))]
    /// #     pub async fn price(&self, product: u64, currency: &str) -> u64 {
    /// #         product * currency.len() as u64
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// Shop.price(5, "EUR").await;
    /// Shop.price(5, "EUR").await;
    /// let stats = Shop::price_cache().stats();
    /// assert_eq!((stats.computed, stats.hits), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        (self.stats)()
    }
}

async fn changed<R>(done: BoxFuture<'static, AnyOutput<R>>) -> Result<()> {
    match done.await {
        AnyOutput::Changed(result) => result,
        AnyOutput::Peeked(_) => Ok(()),
    }
}

impl<K, R> fmt::Debug for MethodCache<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodCache").finish_non_exhaustive()
    }
}
