//! Shared stores: the public trait [`Store`], its keys, the stores for Redis and Memcached, their
//! configuration, and the contract that every store passes.
//!
//! This layer knows bytes only; types, envelopes and policies are above it.

#[cfg(any(feature = "redis", feature = "memcached"))]
mod config;
#[cfg(feature = "contract")]
pub mod contract;
mod expression;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod in_flight;
mod interface;
mod key;
mod lease;
#[cfg(feature = "memcached")]
mod memcached;
#[cfg(feature = "redis")]
mod redis;
mod scan;
mod watch;

#[cfg(any(feature = "redis", feature = "memcached"))]
pub(crate) use config::configured;
#[cfg(feature = "memcached")]
pub(crate) use config::configured_memcached;
#[cfg(feature = "redis")]
pub(crate) use config::configured_redis;
#[cfg(any(feature = "redis", feature = "memcached"))]
pub use config::{Config, configure};
pub use expression::StoreExpr;
pub use interface::Store;
pub use key::Key;
pub(crate) use key::KeySpace;
pub use lease::{Acquired, LastAttempt, Lease, LeaseId, LeaseMode};
#[cfg(feature = "memcached")]
pub use memcached::{Memcached, MemcachedConfig};
#[cfg(feature = "redis")]
pub use redis::{Redis, RedisConfig};
pub(crate) use scan::{Binary, Scan};
pub use watch::Watch;
