//! The configuration of `backend = "redis"` and `backend = "memcached"`.

use std::env;
use std::sync::{Arc, OnceLock};

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

/// The servers of `backend = "redis"` and `backend = "memcached"`, made by [`configure`].
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
}

impl Config {
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
    /// if a setting is invalid.
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
        let stores = Stores::new(&self);
        stores.validate()?;
        STORES.set(stores).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "cannot install the configuration twice or after the first use of a store",
            )
        })
    }
}

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
        let mut stores = Self {
            configured: Vec::new(),
            #[cfg(feature = "redis")]
            redis: Redis::new(config.redis.clone().unwrap_or_else(|| {
                RedisConfig::new(
                    variable("CACHED_REDIS_URL").unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned()),
                )
            }))
            .map(|store| Arc::new(store) as Arc<dyn Store>),
            #[cfg(feature = "memcached")]
            memcached: Memcached::new(config.memcached.clone().unwrap_or_else(|| {
                MemcachedConfig::new(
                    variable("CACHED_MEMCACHED_SERVERS").unwrap_or_else(|| "127.0.0.1:11211".to_owned()),
                )
            }))
            .map(|store| Arc::new(store) as Arc<dyn Store>),
        };
        #[cfg(feature = "redis")]
        if config.redis.is_some() || variable("CACHED_REDIS_URL").is_some() {
            stores.configured.push(stores.redis.clone());
        }
        #[cfg(feature = "memcached")]
        if config.memcached.is_some() || variable("CACHED_MEMCACHED_SERVERS").is_some() {
            stores.configured.push(stores.memcached.clone());
        }
        stores
    }

    fn validate(&self) -> Result<()> {
        #[cfg(feature = "redis")]
        if let Err(error) = &self.redis {
            return Err(error.clone());
        }
        #[cfg(feature = "memcached")]
        if let Err(error) = &self.memcached {
            return Err(error.clone());
        }
        Ok(())
    }
}

/// Returns the store of `backend = "redis"`.
#[cfg(feature = "redis")]
pub(crate) fn configured_redis() -> Result<Arc<dyn Store>> {
    STORES.get_or_init(|| Stores::new(&configure())).redis.clone()
}

/// Returns the store of `backend = "memcached"`.
#[cfg(feature = "memcached")]
pub(crate) fn configured_memcached() -> Result<Arc<dyn Store>> {
    STORES.get_or_init(|| Stores::new(&configure())).memcached.clone()
}

/// Returns the stores that are configured, in code or in the environment.
pub(crate) fn configured() -> &'static [Result<Arc<dyn Store>>] {
    &STORES.get_or_init(|| Stores::new(&configure())).configured
}

/// Returns the value of an environment variable unless it is blank.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
