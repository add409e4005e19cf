//! Which store a name stands for, and its settings; the URLs of stores.

use std::fmt;
use std::sync::Arc;

use super::Store;
use super::placement::Placement;
use crate::{Error, ErrorKind, Result};
#[cfg(feature = "memcached")]
use crate::{Memcached, MemcachedConfig};
#[cfg(feature = "redis")]
use crate::{Redis, RedisConfig};

/// A store with its settings: what [`Config::shared`](crate::Config::shared) and [`Config::store`](crate::Config::store)
/// take.
///
/// It is made of a URL, of the settings of a server, or of a [`Store`]:
///
/// | URL | values are |
/// |---|---|
/// | `memory://` | in the memory of this process |
/// | `redis://user:password@host:port/database`, `rediss://…`, `redis+unix:///path`, `redis-cluster://…`, `redis-sentinel://…`, and the same with `valkey` | in Redis or Valkey, as by [`RedisConfig::new`](crate::RedisConfig::new) |
/// | `memcached://host:port` | in Memcached, as by [`MemcachedConfig::new`](crate::MemcachedConfig::new) |
/// | `off://` | nowhere: calls compute, and companions succeed without effect |
///
/// `redis` needs the feature of that name, `rediss` the feature `redis-tls`, and `memcached` the feature `memcached`. A URL
/// of a backend whose feature is off is an error that names the feature.
///
/// # Examples
///
/// ```
/// use cached_runtime::{StoreConfig, configure};
///
/// let store: StoreConfig = "memory://".into();
/// configure().shared(store).install()?;
/// # Ok::<(), cached_runtime::Error>(())
/// ```
#[derive(Clone)]
pub struct StoreConfig(Choice);

#[derive(Clone)]
enum Choice {
    Url(String),
    #[cfg(feature = "redis")]
    Redis(RedisConfig),
    #[cfg(feature = "memcached")]
    Memcached(MemcachedConfig),
    Store(Arc<dyn Store>),
}

impl StoreConfig {
    /// Creates the store, which connects when it is first used.
    pub(super) fn placement(&self) -> Placement {
        match &self.0 {
            Choice::Url(url) => by_url(url).unwrap_or_else(|error| Placement::Store(Err(error))),
            #[cfg(feature = "redis")]
            Choice::Redis(config) => Placement::Store(redis(config.clone())),
            #[cfg(feature = "memcached")]
            Choice::Memcached(config) => Placement::Store(memcached(config.clone())),
            Choice::Store(store) => Placement::Store(Ok(Arc::clone(store))),
        }
    }
}

impl From<&str> for StoreConfig {
    fn from(url: &str) -> Self {
        Self(Choice::Url(url.trim().to_owned()))
    }
}

impl From<String> for StoreConfig {
    fn from(url: String) -> Self {
        Self::from(&*url)
    }
}

#[cfg(feature = "redis")]
impl From<RedisConfig> for StoreConfig {
    fn from(config: RedisConfig) -> Self {
        Self(Choice::Redis(config))
    }
}

#[cfg(feature = "memcached")]
impl From<MemcachedConfig> for StoreConfig {
    fn from(config: MemcachedConfig) -> Self {
        Self(Choice::Memcached(config))
    }
}

impl<S: Store> From<Arc<S>> for StoreConfig {
    fn from(store: Arc<S>) -> Self {
        Self(Choice::Store(store))
    }
}

impl From<Arc<dyn Store>> for StoreConfig {
    fn from(store: Arc<dyn Store>) -> Self {
        Self(Choice::Store(store))
    }
}

/// Shows no password: of a URL, the scheme.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Url(url) => match url.split_once("://") {
                Some((scheme, _)) if is_scheme(scheme) => write!(f, "{scheme}://"),
                _ => f.write_str("(invalid url)"),
            },
            #[cfg(feature = "redis")]
            Choice::Redis(config) => config.fmt(f),
            #[cfg(feature = "memcached")]
            Choice::Memcached(config) => config.fmt(f),
            Choice::Store(store) => store.fmt(f),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"+-".contains(&byte))
}

/// Returns what a URL stands for. An error contains neither the URL nor a password.
fn by_url(url: &str) -> Result<Placement> {
    let error = |what| Err(Error::new(ErrorKind::Config, what));
    let Some((scheme, rest)) = url.split_once("://") else {
        return error(
            "the url of a store must begin with memory://, redis://, rediss://, redis-cluster://, redis-sentinel://, \
             redis+unix://, memcached:// or off://",
        );
    };
    let family = scheme.split(['-', '+']).next().unwrap_or_default();
    match (scheme, family) {
        ("memory" | "off", _) if !rest.is_empty() => error("memory:// and off:// are followed by nothing"),
        ("memory", _) => Ok(Placement::Memory),
        ("off", _) => Ok(Placement::Off),
        #[cfg(feature = "redis")]
        (_, "redis" | "rediss" | "valkey" | "valkeys") => Ok(Placement::Store(redis(RedisConfig::new(url)))),
        #[cfg(not(feature = "redis"))]
        (_, "redis" | "rediss" | "valkey" | "valkeys") => {
            error("a redis:// url needs the feature `redis` of `cached-runtime`")
        }
        #[cfg(feature = "memcached")]
        ("memcached", _) => Ok(Placement::Store(memcached(MemcachedConfig::new(url)))),
        #[cfg(not(feature = "memcached"))]
        ("memcached", _) => error("a memcached:// url needs the feature `memcached` of `cached-runtime`"),
        _ => error(
            "the scheme of the url is none of memory://, redis://, rediss://, redis-cluster://, redis-sentinel://, \
             redis+unix://, memcached:// and off://",
        ),
    }
}

#[cfg(feature = "redis")]
pub(super) fn redis(config: RedisConfig) -> Result<Arc<dyn Store>> {
    Redis::new(config).map(|store| Arc::new(store) as _)
}

#[cfg(feature = "memcached")]
pub(super) fn memcached(config: MemcachedConfig) -> Result<Arc<dyn Store>> {
    Memcached::new(config).map(|store| Arc::new(store) as _)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_selects_a_placement() {
        let placement = |url: &str| StoreConfig::from(url).placement();
        assert!(matches!(placement("memory://"), Placement::Memory));
        assert!(matches!(placement(" off:// "), Placement::Off));
        for url in [
            "redis://a",
            "valkey://:p@a:1/15",
            "redis+unix:///tmp/redis.sock",
            "redis-cluster://a:1?node=b:2",
            "redis-sentinel://a?node=b:2&sentinelServiceName=m",
        ] {
            let error = placement(url).error().map(ToString::to_string);
            assert_eq!(error.is_none(), cfg!(feature = "redis"), "{url}: {error:?}");
            assert!(error.is_none_or(|error| error.contains("feature `redis`")));
        }
        let error = placement("memcached://a:11211").error().map(ToString::to_string);
        assert_eq!(error.is_none(), cfg!(feature = "memcached"), "{error:?}");
        let error = placement("rediss://a").error().map(ToString::to_string);
        assert_eq!(error.is_none(), cfg!(feature = "redis-tls"), "{error:?}");
        assert!(error.is_none_or(|error| error.contains("feature `redis")));
    }

    #[test]
    fn invalid_url_is_an_error_that_does_not_show_it() {
        for url in [
            "",
            "s3cret",
            "memory://s3cret",
            "off://s3cret",
            "http://user:s3cret@a",
            "rdis://s3cret",
            "redis",
        ] {
            let config = StoreConfig::from(url);
            let placement = config.placement();
            let error = placement.error().unwrap_or_else(|| panic!("{url} is valid"));
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error:?} {config:?}").contains("s3cret"));
        }
    }
}
