//! Async functions that remember their results.

mod cache;
mod call;
mod clock;
#[cfg(feature = "store")]
mod codec;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod config;
#[cfg(feature = "contract")]
pub mod contract;
mod entry;
#[cfg(feature = "store")]
mod envelope;
mod error;
mod flight;
mod future;
mod handle;
#[cfg(feature = "store")]
mod key;
#[cfg(feature = "store")]
mod looks;
#[cfg(feature = "memcached")]
mod memcached;
mod memory;
mod method;
mod outcome;
mod parts;
mod policy;
#[cfg(feature = "redis")]
mod redis;
mod registry;
mod site;
mod stats;
#[cfg(feature = "store")]
mod store;
#[cfg_attr(not(feature = "store"), path = "no_tier.rs")]
mod tier;
mod verbs;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[cfg(feature = "macros")]
pub use cached_macros::async_cached;

#[cfg(any(feature = "redis", feature = "memcached"))]
pub use crate::config::{Config, configure};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::future::BoxFuture;
pub use crate::handle::Handle;
#[cfg(feature = "store")]
pub use crate::key::Key;
#[cfg(feature = "memcached")]
pub use crate::memcached::{Memcached, MemcachedConfig};
pub use crate::method::MethodCache;
#[cfg(feature = "redis")]
pub use crate::redis::{Redis, RedisConfig};
pub use crate::registry::{CacheInfo, caches};
pub use crate::stats::Stats;
#[cfg(feature = "store")]
pub use crate::store::{Acquired, Lease, Over, Store};
