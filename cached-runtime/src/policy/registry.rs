//! The registry of the cached functions of the program.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::erased_function::ErasedFunction;
use super::stats::Stats;
use crate::{BoxFuture, Result};

/// The functions that were used.
static USED: Mutex<Vec<&'static dyn ErasedFunction>> = Mutex::new(Vec::new());

/// A function of the program, used or not.
///
/// The linker collects the declarations of all crates, where `inventory` knows how: on Linux, Android, the BSDs, macOS,
/// iOS and Windows. Elsewhere there are none.
pub struct Declaration(&'static dyn ErasedFunction);

inventory::collect!(Declaration);

impl Declaration {
    pub(crate) const fn new(function: &'static dyn ErasedFunction) -> Self {
        Self(function)
    }
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Declaration").field(&self.0.name()).finish()
    }
}

/// Returns every cached function of the program, by name.
///
/// A function is listed from the start of the program, also if it is never called. On platforms other than Linux, Android,
/// the BSDs, macOS, iOS and Windows it is listed once it was called, or one of its companions was.
///
/// # Examples
///
/// ```
/// use cached_runtime::async_cached;
///
/// #[async_cached(ttl = 60, name = "doubles")]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// double(1).await;
/// double(1).await;
/// let cache = cached_runtime::caches().into_iter().find(|cache| cache.name() == "doubles").unwrap();
/// assert_eq!((cache.stats().computed, cache.stats().hits), (1, 1));
/// # }
/// ```
#[must_use]
pub fn caches() -> Vec<CacheInfo> {
    let used = USED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let declared = inventory::iter::<Declaration>().map(|declaration| declaration.0);
    let mut seen = HashSet::new();
    let mut is_new =
        |function: &&'static dyn ErasedFunction| seen.insert(std::ptr::from_ref(*function).cast::<()>());
    let mut caches: Vec<_> = declared
        .chain(used)
        .filter(|function| is_new(function))
        .map(|function| CacheInfo(function.in_isolation()))
        .collect();
    caches.sort_by_key(CacheInfo::name);
    caches
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
///     # assert!(stats.computed <= 1 && stats.hits <= 1);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct CacheInfo(&'static dyn ErasedFunction);

impl CacheInfo {
    /// Returns the name given by `name = "..."`, or else the path of the function. Types around a method have `_` in the
    /// place of their parameters; [`instances`](Self::instances) have their own names.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles.name")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.name").unwrap();
    /// assert_eq!(cache.name(), "doubles.name");
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
    /// #[async_cached(ttl = 60, name = "doubles.stats")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.stats").unwrap();
    /// assert_eq!(cache.stats().computed, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// Returns the instances of the function that were used, each with its name and its counters. A function that is not
    /// generic has one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "names.instances")]
    /// async fn name_of<T: Send + Sync + 'static>(id: u64) -> &'static str {
    ///     std::any::type_name::<T>()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// name_of::<u8>(1).await;
    /// name_of::<u16>(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name().starts_with("names.instances<")).unwrap();
    /// let instances = cache.instances();
    /// assert!(instances[0].name().contains("name_of<u8>"));
    /// assert_eq!(instances[1].stats().computed, 1);
    /// # }
    /// ```
    #[must_use]
    pub fn instances(&self) -> Vec<InstanceInfo> {
        self.0.instances()
    }

    /// Returns the options of the function, with their defaults; expressions among them are evaluated, unless they were.
    /// They can be printed; the output is for people and may change.
    ///
    /// # Panics
    ///
    /// Panics if such an expression does: one that takes a store out of a static that is not set yet, for example.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles.options")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.options").unwrap();
    /// assert!(format!("{:?}", cache.options()).contains("60s"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn options(&self) -> &'static dyn fmt::Debug {
        self.0.options()
    }

    /// Returns the options if they were evaluated.
    #[cfg(feature = "inspector")]
    pub(crate) fn evaluated_options(&self) -> Option<&'static dyn fmt::Debug> {
        self.0.evaluated_options()
    }

    /// Removes every value of the function, of all its instances: for tests that begin with an empty cache, for
    /// example.
    ///
    /// In a shared store, the values of a function without type parameters are removed also if this process has not used
    /// it; its options are then evaluated, as by [`options`](Self::options). Of a method or a generic function, those of the
    /// instances that this process has used are removed.
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
    /// #[async_cached(ttl = 60, name = "doubles.clear")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.clear").unwrap();
    /// cache.clear().await?;
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
            .field("options", &self.0.evaluated_options())
            .field("stats", &self.stats())
            .finish()
    }
}

/// One instance of a cached function: `load::<User>` of a generic function `load`.
///
/// # Examples
///
/// ```
/// # use cached_runtime::{async_cached, caches};
/// #[async_cached(ttl = 60, name = "doubles.instance")]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// double(1).await;
/// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.instance").unwrap();
/// let instance = &cache.instances()[0];
/// assert_eq!(instance.name(), "doubles.instance");
/// assert_eq!(instance.stats().computed, 1);
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct InstanceInfo {
    pub(crate) name: &'static str,
    pub(crate) backend: &'static str,
    pub(crate) stats: Stats,
    pub(crate) weight: u64,
    pub(crate) computing: usize,
    pub(crate) mean_computation: Option<Duration>,
}

impl InstanceInfo {
    /// Returns the name: that of the function, with the types of the instance. It is the namespace in shared stores,
    /// without the version.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles.instance-name")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.instance-name").unwrap();
    /// assert_eq!(cache.instances()[0].name(), "doubles.instance-name");
    /// # }
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the counters of the instance, as they were when it was listed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles.instance-stats")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.instance-stats").unwrap();
    /// assert_eq!(cache.instances()[0].stats().computed, 1);
    /// # }
    /// ```
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// Returns what the attribute calls the backend: `memory`, `shared`, `redis`, `memcached`, the name of a named store, or
    /// `custom` for a store of your own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles.instance-backend")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.instance-backend").unwrap();
    /// assert_eq!(cache.instances()[0].backend(), "memory");
    /// # }
    /// ```
    #[must_use]
    pub const fn backend(&self) -> &'static str {
        self.backend
    }

    /// Returns the sum of what `weigh` says of the values in memory; without `weigh`, their number. It is 0 with a
    /// shared store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "texts.weight", max_bytes = "1MiB", weigh = |_, text: &String| text.len() as u64)]
    /// async fn text(n: usize) -> String {
    ///     "x".repeat(n)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// text(100).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "texts.weight").unwrap();
    /// assert!(cache.instances()[0].weight() >= 100);
    /// # }
    /// ```
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// Returns the number of keys that were being computed in this process when the instance was listed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles.instance-computing")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.instance-computing").unwrap();
    /// assert_eq!(cache.instances()[0].computing(), 0);
    /// # }
    /// ```
    #[must_use]
    pub const fn computing(&self) -> usize {
        self.computing
    }

    /// Returns how long a computation took that returned, on average; `None` before the first one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cached_runtime::{async_cached, caches};
    /// #[async_cached(ttl = 60, name = "doubles.instance-duration")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// double(1).await;
    /// let cache = caches().into_iter().find(|cache| cache.name() == "doubles.instance-duration").unwrap();
    /// assert!(cache.instances()[0].mean_computation().is_some());
    /// # }
    /// ```
    #[must_use]
    pub const fn mean_computation(&self) -> Option<Duration> {
        self.mean_computation
    }
}

/// Adds a function that is used, once.
pub(crate) fn register(function: &'static dyn ErasedFunction) {
    USED.lock().unwrap_or_else(PoisonError::into_inner).push(function);
}
