//! The companions of a cached method.

use std::fmt;
use std::future::Future;

use super::cached_function::Instance;
use super::operations::{AnyOperation, AnyOutput};
use crate::signature::FromValue;
use crate::{BoxFuture, Result, Stats};

/// The companions of a cached method: `Type::find_cache()` returns them for a method `find`.
///
/// `K` is the key, in the types of the method's arguments: a single argument itself, several arguments as a tuple. If
/// `self` is in the key, `&Self` is the first. `R` is the return type of the method. The companions that run the method
/// are methods beside it: `find_uncached`, `find_refresh` and `find_lookup`.
///
/// # Examples
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
    perform: fn(AnyOperation<R>, K) -> AnyOutput<R>,
    instance: fn() -> Instance,
}

impl<K, R: 'static> MethodCache<K, R> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(perform: fn(AnyOperation<R>, K) -> AnyOutput<R>, instance: fn() -> Instance) -> Self {
        Self { perform, instance }
    }

    /// Removes the value of a key, and discards a computation of it that is in flight.
    ///
    /// # Errors
    ///
    /// Returns the error of the shared store, if it did not confirm the removal.
    ///
    /// # Cancel safety
    ///
    /// The change of a shared store is made even if the future is dropped after its first poll.
    ///
    /// # Examples
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
        changed((self.perform)(AnyOperation::Invalidate, key))
    }

    /// Makes the value of a key stale, and discards a computation of it that is in flight.
    ///
    /// The next call computes; it returns the stale value only as `stale_while_revalidate` and `stale_if_error` allow.
    ///
    /// # Errors
    ///
    /// Returns the error of the shared store, if it did not confirm the change.
    ///
    /// # Cancel safety
    ///
    /// The change of a shared store is made even if the future is dropped after its first poll.
    ///
    /// # Examples
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
        changed((self.perform)(AnyOperation::Expire, key))
    }

    /// Stores a value that the application already has, with the same lifetime as a computed one, and discards a
    /// computation of it that is in flight.
    ///
    /// `Ok` and `Some` may be left out. After it has returned `Ok`, no later call returns an older value. A change at the same
    /// time may already have replaced or removed this one.
    ///
    /// # Errors
    ///
    /// Returns the error of the shared store, or of the codec if the value cannot be encoded.
    ///
    /// # Cancel safety
    ///
    /// The change of a shared store is made even if the future is dropped after its first poll.
    ///
    /// # Examples
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
        changed((self.perform)(AnyOperation::Put(R::from_value(value)), key))
    }

    /// Returns the value that a call would return without computing.
    ///
    /// # Examples
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
        let performed = (self.perform)(AnyOperation::Peek, key);
        async {
            match performed {
                AnyOutput::Peeked(output) => output.await,
                AnyOutput::Changed(_) | AnyOutput::Named(_) => None,
            }
        }
    }

    /// Returns the name of the entry of a key, without computing: in a shared store, the name by which the server has it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if the key cannot be serialized, and
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) if it is larger than 1 MiB as encoded.
    ///
    /// # Examples
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
    /// let name = Shop::price_cache().key((5, "EUR"))?;
    /// assert_eq!(Shop.price_lookup(5, "EUR").await.key, name);
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(&self, key: K) -> Result<String> {
        match (self.perform)(AnyOperation::Name, key) {
            AnyOutput::Named(name) => name,
            AnyOutput::Changed(_) | AnyOutput::Peeked(_) => Ok(String::new()),
        }
    }

    /// Turns caching of the method off or on, in this process and for all instances of its type.
    ///
    /// While it is off, calls run the method, and neither read nor store values. What invalidates still does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::async_cached;
    /// # struct Shop;
    /// # impl Shop {
    /// #     #[async_cached(ttl = 60, skip(self))]
    /// #     pub async fn price(&self, product: u64) -> u64 {
    /// #         product
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// Shop::price_cache().set_enabled(false);
    /// Shop.price(5).await;
    /// Shop.price(5).await;
    /// assert_eq!(Shop::price_cache().stats().bypassed, 2);
    /// # }
    /// ```
    pub fn set_enabled(&self, enabled: bool) {
        (self.instance)().set_enabled(enabled);
    }

    /// Removes every value of this method.
    ///
    /// # Errors
    ///
    /// Returns the error of the shared store, if it did not confirm the removal.
    ///
    /// # Cancel safety
    ///
    /// The change of a shared store is made even if the future is dropped after its first poll.
    /// If this process has not called the method yet, it may or may not be made.
    ///
    /// # Examples
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
        (self.instance)().clear()
    }

    /// Returns the statistics of the method, the sum of all instances of its type.
    ///
    /// # Examples
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
        (self.instance)().stats()
    }
}

async fn changed<R>(performed: AnyOutput<R>) -> Result<()> {
    match performed {
        AnyOutput::Changed(change) => change.await,
        AnyOutput::Peeked(_) | AnyOutput::Named(_) => Ok(()),
    }
}

impl<K, R> fmt::Debug for MethodCache<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodCache").finish_non_exhaustive()
    }
}
