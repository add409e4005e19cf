//! Which servers the names `"redis"` and `"memcached"` stand for.

use std::env;
use std::sync::{Arc, OnceLock};

use crate::{Error, ErrorKind, Result, Store};
#[cfg(feature = "memcached")]
use crate::{Memcached, MemcachedConfig};
#[cfg(feature = "redis")]
use crate::{Redis, RedisConfig};

/// Begins to say which servers the backends stand for; nothing holds before [`Config::install`].
///
/// Without it, `backend = "redis"` is the server in the environment variable `CACHED_REDIS_URL`, else
/// `redis://127.0.0.1:6379`; and `backend = "memcached"` the one in `CACHED_MEMCACHED_SERVERS`, else
/// `127.0.0.1:11211`.
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

/// The servers that the names of backends stand for. Made by [`configure`].
///
/// ```
/// use cached_runtime::{Config, configure};
///
/// let config: Config = configure();
/// config.install()?; // What is not named is where the environment says.
/// # Ok::<(), cached_runtime::Error>(())
/// ```
#[derive(Debug, Default, Clone)]
#[must_use = "nothing holds before `install()`"]
pub struct Config {
    #[cfg(feature = "redis")]
    redis: Option<RedisConfig>,
    #[cfg(feature = "memcached")]
    memcached: Option<MemcachedConfig>,
}

impl Config {
    /// The server behind `backend = "redis"`.
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

    /// The server behind `backend = "memcached"`.
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

    /// Makes it hold for the whole program. No connection is made before it is needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if something was installed before, or a shared store was used already, or a setting is
    /// wrong.
    ///
    /// ```
    /// use cached_runtime::{ErrorKind, configure};
    ///
    /// configure().install()?;
    /// assert_eq!(configure().install().unwrap_err().kind(), ErrorKind::Config); // Once is enough.
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub fn install(self) -> Result<()> {
        let stores = Stores::new(&self);
        stores.check()?;
        STORES.set(stores).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                "the configuration is installed or in use already; install it once, first",
            )
        })
    }
}

static STORES: OnceLock<Stores> = OnceLock::new();

/// The stores themselves; they connect when they are first used.
struct Stores {
    #[cfg(feature = "redis")]
    redis: Result<Arc<dyn Store>>,
    #[cfg(feature = "memcached")]
    memcached: Result<Arc<dyn Store>>,
    /// Those that somebody has configured, in the code or in the environment.
    configured: Vec<Result<Arc<dyn Store>>>,
}

impl Stores {
    fn new(config: &Config) -> Self {
        let mut stores = Self {
            configured: Vec::new(),
            #[cfg(feature = "redis")]
            redis: Redis::new(config.redis.clone().unwrap_or_else(|| {
                RedisConfig::new(
                    setting("CACHED_REDIS_URL").unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned()),
                )
            }))
            .map(|store| Arc::new(store) as Arc<dyn Store>),
            #[cfg(feature = "memcached")]
            memcached: Memcached::new(config.memcached.clone().unwrap_or_else(|| {
                MemcachedConfig::new(
                    setting("CACHED_MEMCACHED_SERVERS").unwrap_or_else(|| "127.0.0.1:11211".to_owned()),
                )
            }))
            .map(|store| Arc::new(store) as Arc<dyn Store>),
        };
        #[cfg(feature = "redis")]
        if config.redis.is_some() || setting("CACHED_REDIS_URL").is_some() {
            stores.configured.push(stores.redis.clone());
        }
        #[cfg(feature = "memcached")]
        if config.memcached.is_some() || setting("CACHED_MEMCACHED_SERVERS").is_some() {
            stores.configured.push(stores.memcached.clone());
        }
        stores
    }

    fn check(&self) -> Result<()> {
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

#[cfg(feature = "redis")]
pub(crate) fn configured_redis() -> Result<Arc<dyn Store>> {
    STORES.get_or_init(|| Stores::new(&configure())).redis.clone()
}

#[cfg(feature = "memcached")]
pub(crate) fn configured_memcached() -> Result<Arc<dyn Store>> {
    STORES.get_or_init(|| Stores::new(&configure())).memcached.clone()
}

/// The stores that somebody has configured, in the code or in the environment.
pub(crate) fn configured() -> &'static [Result<Arc<dyn Store>>] {
    &STORES.get_or_init(|| Stores::new(&configure())).configured
}

/// An environment variable that says something.
fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
