//! Async functions that remember their results.

#[cfg(feature = "contract")]
pub mod contract;
mod error;
#[cfg(feature = "store")]
mod key;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "store")]
mod store;

pub use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "store")]
pub use crate::key::Key;
#[cfg(feature = "memcached")]
pub use crate::memcached::{Memcached, MemcachedConfig};
#[cfg(feature = "redis")]
pub use crate::redis::{Redis, RedisConfig};
#[cfg(feature = "store")]
pub use crate::store::{Acquired, BoxFuture, Lease, Over, Store};
