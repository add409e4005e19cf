//! The configuration of the process, in code.

use std::time::Duration;

use super::overrides;
#[cfg(feature = "memcached")]
use crate::MemcachedConfig;
#[cfg(feature = "redis")]
use crate::RedisConfig;
#[cfg(feature = "store")]
use crate::StoreConfig;
#[cfg(feature = "store")]
use crate::store::{self, Role};
use crate::util::limits::{self, Setting};
use crate::{Error, ErrorKind, Result};

/// Returns an empty configuration, which takes effect with [`Config::install`].
///
/// A backend that is not configured uses an environment variable, or a default if the variable is not set or
/// blank:
///
/// | backend | variable | default |
/// |---|---|---|
/// | `"shared"` | `CACHED_SHARED_URL`, one of the URLs of `StoreConfig` | `memory://` |
/// | `"redis"` | `CACHED_REDIS_URL` | `redis://127.0.0.1:6379` |
/// | `"memcached"` | `CACHED_MEMCACHED_SERVERS` | `127.0.0.1:11211` |
/// | `cached_runtime::store("name")` | none | none; `Config::store` configures it |
///
/// `CACHED_MEMCACHED_SERVERS` names one server; several are not supported. With a value that is invalid,
/// [`Config::install`] and the companions that change something return an error that names the variable. Calls compute
/// without the store; that is logged once, and counted in `store_errors`.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "redis")] {
/// use std::time::Duration;
/// use cached_runtime::{RedisConfig, configure};
///
/// configure()
///     .redis(RedisConfig::new("redis://cache.internal:6379").prefix("shop:").deadline(Duration::from_millis(20)))
///     .install()?;
/// # }
/// # Ok::<(), cached_runtime::Error>(())
/// ```
pub fn configure() -> Config {
    Config::default()
}

/// The stores of this process, and everything else that is configured; made by [`configure`].
///
/// # Examples
///
/// ```
/// use cached_runtime::{Config, configure};
///
/// let config: Config = configure();
/// config.install()?; // Uses the environment variables and the defaults.
/// # Ok::<(), cached_runtime::Error>(())
/// ```
#[derive(Debug, Default, Clone)]
#[must_use = "a configuration has no effect before `install()`"]
pub struct Config {
    /// Of each role at most one.
    #[cfg(feature = "store")]
    stores: Vec<(Role, StoreConfig)>,
    limits: Vec<Setting>,
    is_disabled: bool,
}

impl Config {
    /// Sets where the values of `backend = "shared"` are: at a URL such as `redis://cache.internal`, in a server with
    /// settings, or in a [`Store`](crate::Store) of your own.
    ///
    /// It overrides `CACHED_SHARED_URL`. See [`StoreConfig`] for the URLs.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{async_cached, configure};
    ///
    /// #[async_cached(ttl = 60, backend = "shared")]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// configure().shared("memory://").install()?;
    /// double(4).await;
    /// double(4).await;
    /// assert_eq!(double::stats().hits, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "store")]
    pub fn shared(self, store: impl Into<StoreConfig>) -> Self {
        self.with(Role::Shared, store.into())
    }

    /// Sets the store with this name, for functions with `backend = cached_runtime::store("name")`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{async_cached, configure};
    ///
    /// #[async_cached(ttl = 60, backend = cached_runtime::store("sessions"))]
    /// async fn session(id: u64) -> u64 {
    ///     id
    /// }
    ///
    /// configure().store("sessions", "memory://").install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    #[cfg(feature = "store")]
    pub fn store(self, name: impl Into<String>, store: impl Into<StoreConfig>) -> Self {
        self.with(Role::Named(name.into().into()), store.into())
    }

    /// Sets the server of `backend = "redis"`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{RedisConfig, configure};
    ///
    /// configure().redis(RedisConfig::new("redis://cache.internal")).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    #[cfg(feature = "redis")]
    pub fn redis(self, config: RedisConfig) -> Self {
        self.with(Role::Redis, config.into())
    }

    /// Sets the server of `backend = "memcached"`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{MemcachedConfig, configure};
    ///
    /// configure().memcached(MemcachedConfig::new("cache.internal:11211")).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    #[cfg(feature = "memcached")]
    pub fn memcached(self, config: MemcachedConfig) -> Self {
        self.with(Role::Memcached, config.into())
    }

    /// Sets how long a lease lasts without an extension; 10 seconds by default.
    ///
    /// A process that computes extends its lease every third of the term. If the process ends instead, other processes
    /// compute the key when the term is over. With a short term that is soon, but a process that stalls for so long
    /// loses its lease, and its result is not stored. From 1 second to 10 minutes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::configure;
    ///
    /// configure().lease(Duration::from_secs(3)).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    #[cfg(feature = "store")]
    pub fn lease(self, term: Duration) -> Self {
        self.limit(limits::LEASE_TERM.to_time(term))
    }

    /// Sets how long calls wait for one computation of another call, in this process or in another one; 30 seconds by
    /// default.
    ///
    /// When a computation takes longer, one of the calls that wait for it in this process begins another one, and all that
    /// still wait get the first result. When another process holds the lease of the key for so long, one call of this
    /// process computes without the lease, and the result is not stored. After a failure that calls do not share, each that
    /// has waited for so long runs the function itself, and so does one that waits for a place of `max_concurrent`. From 100
    /// milliseconds to 1 hour.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::configure;
    ///
    /// configure().wait(Duration::from_secs(5)).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub fn wait(self, budget: Duration) -> Self {
        self.limit(limits::WAIT_BUDGET.to_time(budget))
    }

    /// Sets how many background refreshes run at a time in this process; 256 by default.
    ///
    /// Each function can run 16 of them whatever the others do. Further refreshes wait in a queue, in which every key has
    /// its turn. From 1 to 65 536.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::configure;
    ///
    /// configure().background_refreshes(32).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub fn background_refreshes(self, limit: usize) -> Self {
        self.limit(limits::BACKGROUND_REFRESHES.to_number(limit))
    }

    /// Sets how long one background refresh may take, unless the function has a longer `timeout`; 30 seconds by default.
    ///
    /// A refresh that takes longer is stopped, and counted in `Stats::errors`. From 100 milliseconds to 1 hour.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::configure;
    ///
    /// configure().background_timeout(Duration::from_secs(10)).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub fn background_timeout(self, timeout: Duration) -> Self {
        self.limit(limits::BACKGROUND_TIMEOUT.to_time(timeout))
    }

    /// Sets how many computations of `detached` functions go on after all their callers have left; 1 024 by default.
    ///
    /// Others end with their last caller, as without `detached`. At most 65 536.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::configure;
    ///
    /// configure().abandoned_computations(64).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub fn abandoned_computations(self, limit: usize) -> Self {
        self.limit(limits::ABANDONED_COMPUTATIONS.to_number(limit))
    }

    /// Sets how long a computation of a `detached` function goes on after all its callers have left, unless the function has
    /// a `timeout`; 5 minutes by default.
    ///
    /// From 100 milliseconds to 24 hours.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::configure;
    ///
    /// configure().abandoned_timeout(Duration::from_secs(60)).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub fn abandoned_timeout(self, timeout: Duration) -> Self {
        self.limit(limits::ABANDONED_TIMEOUT.to_time(timeout))
    }

    /// Sets the longest pause between two attempts to send a pending invalidation; 5 seconds by default.
    ///
    /// The first pause is 100 milliseconds, and each further one twice as long. From 100 milliseconds to 5 minutes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::configure;
    ///
    /// configure().retry_pause(Duration::from_secs(1)).install()?;
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    #[cfg(feature = "store")]
    pub fn retry_pause(self, longest: Duration) -> Self {
        self.limit(limits::RETRY_PAUSE.to_time(longest))
    }

    /// Turns caching off, as [`set_enabled(false)`](crate::set_enabled) does, and as the environment variable
    /// `CACHED_DISABLED=1` does without a change of the program.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{async_cached, configure};
    ///
    /// #[async_cached(ttl = 60)]
    /// async fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// configure().disabled().install()?;
    /// double(4).await;
    /// double(4).await;
    /// assert_eq!((double::stats().bypassed, double::stats().entries), (2, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn disabled(mut self) -> Self {
        self.is_disabled = true;
        self
    }

    /// Installs the configuration for the whole program.
    ///
    /// It does not connect; that happens with the first operation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a configuration was installed before, if a shared store was used before, or
    /// if a setting is invalid. If the setting comes from an environment variable, the error names it. The `source` of the
    /// error has all mistakes, if there are several.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{ErrorKind, configure};
    ///
    /// configure().install()?;
    /// assert_eq!(configure().install().unwrap_err().kind(), ErrorKind::Config); // It can be installed once.
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub fn install(self) -> Result<()> {
        let mistakes = self.mistakes();
        #[cfg(feature = "store")]
        store::install(&self.stores, mistakes)?;
        #[cfg(not(feature = "store"))]
        if let Some(mistake) = mistakes.into_iter().next() {
            return Err(mistake);
        }
        self.limits.iter().for_each(Setting::apply);
        if self.is_disabled {
            overrides::set_enabled(false);
        }
        Ok(())
    }

    /// Returns what is wrong with the limits.
    fn mistakes(&self) -> Vec<Error> {
        let mistakes = self.limits.iter().filter_map(Setting::mistake);
        mistakes.map(|mistake| Error::new(ErrorKind::Config, mistake)).collect()
    }

    fn limit(mut self, setting: Setting) -> Self {
        self.limits.push(setting);
        self
    }

    #[cfg(feature = "store")]
    fn with(mut self, role: Role, store: StoreConfig) -> Self {
        self.stores.retain(|(other, _)| *other != role);
        self.stores.push((role, store));
        self
    }
}
