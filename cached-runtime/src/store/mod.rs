//! Shared stores: the public trait [`Store`], its keys, the stores for Redis and Memcached, their
//! configuration, and the contract that every store passes.
//!
//! This layer knows bytes only; types, envelopes and policies are above it.

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod deadline;
mod expression;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod in_flight;
mod interface;
mod key;
mod lease;
#[cfg(feature = "memcached")]
mod memcached;
mod named_store;
mod placement;
mod readable;
#[cfg(feature = "redis")]
mod redis;
mod role;
mod scan;
mod servers;
mod store_config;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod ticker;
#[cfg(any(feature = "redis", feature = "memcached"))]
mod traffic;
mod watch;

pub use expression::{StoreExpr, StoreOrName};
pub(crate) use interface::LARGE_BYTES;
pub use interface::Store;
pub use key::Key;
pub(crate) use key::KeySpace;
pub use lease::{Acquired, LastAttempt, Lease, LeaseId, LeaseMode, ValueId};
#[cfg(feature = "memcached")]
pub use memcached::{Memcached, MemcachedConfig};
pub use named_store::{NamedStore, store};
pub(crate) use placement::Placement;
#[cfg(feature = "redis")]
pub use redis::{Redis, RedisConfig};
pub(crate) use role::Role;
pub(crate) use scan::{Binary, Scan};
pub(crate) use servers::{configured, install, list, placement_of, servers_in_use, unknown_names};
pub use store_config::StoreConfig;
pub use watch::Watch;

use crate::{Error, ErrorKind};

/// Returns the error of an operation whose runtime ends.
pub(crate) fn shutting_down() -> Error {
    Error::new(ErrorKind::Unreachable, "the runtime is shutting down")
}
