//! The roles that a store can have: which functions use it, and what configures it.

use std::borrow::Cow;
use std::fmt;

use super::StoreConfig;
#[cfg(feature = "memcached")]
use crate::MemcachedConfig;
#[cfg(feature = "redis")]
use crate::RedisConfig;

/// Which functions use a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Those with `backend = "shared"`.
    Shared,
    /// Those with `backend = "redis"`.
    #[cfg(feature = "redis")]
    Redis,
    /// Those with `backend = "memcached"`.
    #[cfg(feature = "memcached")]
    Memcached,
    /// Those with `backend = cached_runtime::store("...")`.
    Named(Cow<'static, str>),
}

/// The environment variable that configures a role.
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// The message of the error if its value is invalid.
    pub(super) invalid: &'static str,
}

impl Role {
    /// The roles that have a store although nobody configures one.
    pub(super) const WITH_DEFAULT: &[Self] = &[
        Self::Shared,
        #[cfg(feature = "redis")]
        Self::Redis,
        #[cfg(feature = "memcached")]
        Self::Memcached,
    ];

    pub(super) const fn variable(&self) -> Option<Variable> {
        let (name, invalid) = match self {
            Self::Shared => ("CACHED_SHARED_URL", "the environment variable CACHED_SHARED_URL is invalid"),
            #[cfg(feature = "redis")]
            Self::Redis => ("CACHED_REDIS_URL", "the environment variable CACHED_REDIS_URL is invalid"),
            #[cfg(feature = "memcached")]
            Self::Memcached => {
                ("CACHED_MEMCACHED_SERVERS", "the environment variable CACHED_MEMCACHED_SERVERS is invalid")
            }
            Self::Named(_) => return None,
        };
        Some(Variable { name, invalid })
    }

    /// Returns what the attributes call the store.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Shared => "shared",
            #[cfg(feature = "redis")]
            Self::Redis => "redis",
            #[cfg(feature = "memcached")]
            Self::Memcached => "memcached",
            Self::Named(name) => name,
        }
    }

    /// Returns the store at an address, or at the default address.
    pub(super) fn store_at(&self, address: Option<&str>) -> StoreConfig {
        match self {
            Self::Shared | Self::Named(_) => address.unwrap_or("memory://").into(),
            #[cfg(feature = "redis")]
            Self::Redis => RedisConfig::new(address.unwrap_or("redis://127.0.0.1:6379")).into(),
            #[cfg(feature = "memcached")]
            Self::Memcached => MemcachedConfig::new(address.unwrap_or("127.0.0.1:11211")).into(),
        }
    }
}

/// Writes the role as an attribute has it.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Named(name) = self {
            return write!(f, "store(\"{}\")", name.escape_debug());
        }
        write!(f, "\"{}\"", self.name())
    }
}
