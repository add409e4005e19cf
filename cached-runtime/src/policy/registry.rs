//! The registry of the cached functions that this process has used.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::erased_function::ErasedFunction;
use super::stats::Stats;
use crate::{BoxFuture, Result};

static FUNCTIONS: Mutex<Vec<&'static dyn ErasedFunction>> = Mutex::new(Vec::new());

/// Returns every cached function that was called, or whose companions were used, in this process so far.
///
/// # Examples
///
/// ```
/// use cached_runtime::async_cached;
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// double(1).await;
/// double(1).await;
/// let cache = cached_runtime::caches().into_iter().find(|cache| cache.name().ends_with("::double")).unwrap();
/// assert_eq!((cache.stats().computed, cache.stats().hits), (1, 1));
/// # }
/// ```
#[must_use]
pub fn caches() -> Vec<CacheInfo> {
    let functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    functions.iter().map(|function| CacheInfo(*function)).collect()
}

/// A cached function: its name, its options and its counters.
///
/// Returned by [`caches`]. All instances of a generic function are one `CacheInfo`.
///
/// # Examples
///
/// ```
/// # use cached_runtime::{async_cached, caches};
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// double(1).await;
/// double(1).await;
/// for cache in caches() {
///     let stats = cache.stats();
///     println!("{}: {} computed, {} hits", cache.name(), stats.computed, stats.hits);
///     # assert_eq!((stats.computed, stats.hits), (1, 1));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct CacheInfo(&'static dyn ErasedFunction);

impl CacheInfo {
    /// Returns the name given by `name = "..."`, or else the path of the function; for a generic function, that of the
    /// instance that was used first.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// assert_eq!(caches()[0].name(), "doubles");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Returns the counters of the function, of all its instances together.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60)]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// assert_eq!(caches()[0].stats().computed, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// Returns the options of the function, with their defaults. They can be printed; the output is for people and may
    /// change.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60)]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// assert!(format!("{:?}", caches()[0].options()).contains("60s"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn options(&self) -> &'static dyn fmt::Debug {
        self.0.options()
    }

    /// Removes every value of the function, of all its instances: for tests that begin with an empty cache, for
    /// example.
    ///
    /// # Errors
    ///
    /// The error of the shared store, if it did not confirm the change; then the invalidation is retried in the
    /// background.
    ///
    /// # Cancel safety
    ///
    /// Nothing happens before the future is polled. A change that has begun is made also if the future is dropped, but
    /// instances that it had not reached yet keep their values.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60)]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// for cache in caches() {
    ///     cache.clear().await?;
    /// }
    /// assert_eq!(double::peek(1).await, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub fn clear(&self) -> BoxFuture<'static, Result<()>> {
        self.0.clear()
    }
}

impl fmt::Debug for CacheInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheInfo")
            .field("name", &self.name())
            .field("options", self.options())
            .field("stats", &self.stats())
            .finish()
    }
}

/// Adds a function, once.
pub(crate) fn register(function: &'static dyn ErasedFunction) {
    FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner).push(function);
}
