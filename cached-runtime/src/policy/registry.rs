//! The cached functions that this process has used.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::handle::Function;
use crate::{BoxFuture, Result, Stats};

static FUNCTIONS: Mutex<Vec<&'static dyn Function>> = Mutex::new(Vec::new());

/// Every cached function that was called, or whose companions were used, in this process so far.
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

/// One cached function: its name, its policy (in `Debug`) and its counters.
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
pub struct CacheInfo(&'static dyn Function);

impl CacheInfo {
    /// The name given by `name = "..."`, or else the path of the function.
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

    /// What the function has done so far.
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

    /// What the attribute asks for.
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
    /// assert!(format!("{:?}", caches()[0].policy()).contains("60s"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn policy(&self) -> &'static dyn fmt::Debug {
        self.0.policy()
    }

    /// Removes every value of this function: for tests that want to begin with nothing, say.
    ///
    /// # Errors
    ///
    /// What the shared store said, if it could not be told.
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
            .field("policy", self.policy())
            .field("stats", &self.stats())
            .finish()
    }
}

pub(crate) fn enter(function: &'static dyn Function) {
    FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner).push(function);
}
