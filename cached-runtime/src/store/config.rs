//! The configuration of `backend = "redis"` and `backend = "memcached"`.

use std::env;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::util::limits;
use crate::{Error, ErrorKind, Result, Store};
#[cfg(feature = "memcached")]
use crate::{Memcached, MemcachedConfig};
#[cfg(feature = "redis")]
use crate::{Redis, RedisConfig};

/// Returns an empty configuration of the backends, which takes effect with [`Config::install`].
///
/// A backend that is not configured uses an environment variable, or a default if the variable is not set or
/// blank:
///
/// | backend | variable | default |
/// |---|---|---|
/// | `"redis"` | `CACHED_REDIS_URL` | `redis://127.0.0.1:6379` |
/// | `"memcached"` | `CACHED_MEMCACHED_SERVERS` | `127.0.0.1:11211` |
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

/// The servers of `backend = "redis"` and `backend = "memcached"`, and the limits of waiting, made by [`configure`].
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
    #[cfg(feature = "redis")]
    redis: Option<RedisConfig>,
    #[cfg(feature = "memcached")]
    memcached: Option<MemcachedConfig>,
    lease_term: Option<Duration>,
    wait_budget: Option<Duration>,
}

impl Config {
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
    pub const fn lease(mut self, term: Duration) -> Self {
        self.lease_term = Some(term);
        self
    }

    /// Sets the longest time that a call waits for the computation of another one, in this process or in another one; 30
    /// seconds by default.
    ///
    /// A call that has waited for so long runs the function itself. From 100 milliseconds to 1 hour.
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
    pub const fn wait(mut self, budget: Duration) -> Self {
        self.wait_budget = Some(budget);
        self
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
    pub fn redis(mut self, config: RedisConfig) -> Self {
        self.redis = Some(config);
        self
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
    pub fn memcached(mut self, config: MemcachedConfig) -> Self {
        self.memcached = Some(config);
        self
    }

    /// Installs the configuration for the whole program.
    ///
    /// It does not connect; that happens with the first operation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a configuration was installed before, if a shared store was used before, or
    /// if a setting is invalid. If the setting comes from an environment variable, the error names it.
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
        self.validate_limits()?;
        let stores = Stores::new(&self);
        stores.validate()?;
        STORES.set(stores).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "cannot install the configuration twice or after the first use of a store",
            )
        })?;
        limits::set(self.lease_term, self.wait_budget);
        Ok(())
    }

    fn validate_limits(&self) -> Result<()> {
        let is_outside = |value: Option<Duration>, range: RangeInclusive<Duration>| {
            value.is_some_and(|value| !range.contains(&value))
        };
        if is_outside(self.lease_term, LEASE_TERMS) {
            return Err(Error::new(
                ErrorKind::Config,
                "the term of a lease must be from 1 second to 10 minutes",
            ));
        }
        if is_outside(self.wait_budget, WAIT_BUDGETS) {
            return Err(Error::new(
                ErrorKind::Config,
                "the wait budget must be from 100 milliseconds to 1 hour",
            ));
        }
        Ok(())
    }
}

const LEASE_TERMS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 60);
const WAIT_BUDGETS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60 * 60);

static STORES: OnceLock<Stores> = OnceLock::new();

/// The stores of the backends, which connect when they are first used.
struct Stores {
    #[cfg(feature = "redis")]
    redis: Result<Arc<dyn Store>>,
    #[cfg(feature = "memcached")]
    memcached: Result<Arc<dyn Store>>,
    /// Those that are configured, in code or in the environment.
    configured: Vec<Result<Arc<dyn Store>>>,
}

impl Stores {
    fn new(config: &Config) -> Self {
        let mut configured = Vec::new();
        #[cfg(feature = "redis")]
        let redis = {
            let (redis, is_configured) = match &config.redis {
                Some(config) => (Redis::new(config.clone()), true),
                None => from_variable(
                    "CACHED_REDIS_URL",
                    "the environment variable CACHED_REDIS_URL is invalid",
                    "redis://127.0.0.1:6379",
                    |url| Redis::new(RedisConfig::new(url)),
                ),
            };
            let redis = redis.map(|store| Arc::new(store) as Arc<dyn Store>);
            configured.extend(is_configured.then(|| redis.clone()));
            redis
        };
        #[cfg(feature = "memcached")]
        let memcached = {
            let (memcached, is_configured) = match &config.memcached {
                Some(config) => (Memcached::new(config.clone()), true),
                None => from_variable(
                    "CACHED_MEMCACHED_SERVERS",
                    "the environment variable CACHED_MEMCACHED_SERVERS is invalid",
                    "127.0.0.1:11211",
                    |server| Memcached::new(MemcachedConfig::new(server)),
                ),
            };
            let memcached = memcached.map(|store| Arc::new(store) as Arc<dyn Store>);
            configured.extend(is_configured.then(|| memcached.clone()));
            memcached
        };
        Self {
            #[cfg(feature = "redis")]
            redis,
            #[cfg(feature = "memcached")]
            memcached,
            configured,
        }
    }

    /// Returns the stores that calls use without a configuration in code. An error is logged here, once for all functions.
    fn from_environment() -> Self {
        let stores = Self::new(&configure());
        for error in stores.errors() {
            tracing::warn!(
                ?error,
                "a shared store cannot be used; calls compute without it, which is counted in `store_errors`. Correct what \
                 the error names and restart the program"
            );
        }
        stores
    }

    fn validate(&self) -> Result<()> {
        self.errors().next().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn errors(&self) -> impl Iterator<Item = &Error> {
        [
            #[cfg(feature = "redis")]
            &self.redis,
            #[cfg(feature = "memcached")]
            &self.memcached,
        ]
        .into_iter()
        .filter_map(|store| store.as_ref().err())
    }
}

/// Returns the store of `backend = "redis"`.
#[cfg(feature = "redis")]
pub(crate) fn configured_redis() -> Result<Arc<dyn Store>> {
    STORES.get_or_init(Stores::from_environment).redis.clone()
}

/// Returns the store of `backend = "memcached"`.
#[cfg(feature = "memcached")]
pub(crate) fn configured_memcached() -> Result<Arc<dyn Store>> {
    STORES.get_or_init(Stores::from_environment).memcached.clone()
}

/// Returns the stores that are configured, in code or in the environment.
pub(crate) fn configured() -> &'static [Result<Arc<dyn Store>>] {
    &STORES.get_or_init(Stores::from_environment).configured
}

/// Returns the store at the address in an environment variable, and `true`; or that at the default address, and `false`,
/// if the variable is not set or blank.
fn from_variable<T>(
    name: &str,
    error: &'static str,
    default: &str,
    new: impl Fn(&str) -> Result<T>,
) -> (Result<T>, bool) {
    match env::var_os(name).map(OsString::into_string) {
        None => (new(default), false),
        Some(Ok(value)) if value.trim().is_empty() => (new(default), false),
        Some(Ok(value)) => {
            (new(value.trim()).map_err(|cause| Error::new(ErrorKind::Config, error).with_source(cause)), true)
        }
        Some(Err(_)) => (Err(Error::new(ErrorKind::Config, error)), true),
    }
}
