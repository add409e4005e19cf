//! The shared tier: the values of a function in a [`Store`](crate::Store) that all processes with the store share.
//!
//! [`Tier`] encodes a value (`codec`, `schema`), seals it in an `envelope` and stores it at a `location` under a
//! `lease`; a lease whose holder is gone is given back (`returned_leases`). The `generations` that are read with a value
//! decide whether it is current. Calls that read at the same time share a round trip (`reads`). An `invalidation` that the
//! store does not confirm stays `pending` and is retried. A put yields to the `changes` that began after it. The
//! `observed_store` names the operation that failed, and the `failure_log` bounds how often that is logged. A store failure
//! while reading or filling is a miss: no call fails because of it. So is every read of an instance whose namespace may be
//! that of another one (`claims`).
//!
//! In builds without a shared store, `absent` replaces `tier`.

#[cfg(feature = "store")]
mod changes;
#[cfg(feature = "store")]
mod claims;
#[cfg(feature = "store")]
mod codec;
#[cfg(feature = "store")]
mod connect;
#[cfg(feature = "store")]
mod envelope;
#[cfg(feature = "store")]
mod failure_log;
#[cfg(feature = "store")]
mod generation;
#[cfg(feature = "store")]
mod generations;
#[cfg(feature = "store")]
mod health;
#[cfg(feature = "store")]
mod held_lease;
mod invalidate_tag;
#[cfg(feature = "store")]
mod invalidation;
#[cfg(feature = "store")]
mod key_check;
#[cfg(feature = "store")]
mod lease;
#[cfg(feature = "store")]
mod location;
#[cfg(feature = "store")]
mod msgpack;
#[cfg(feature = "store")]
mod namespace;
#[cfg(feature = "store")]
mod namespace_state;
#[cfg(feature = "store")]
mod observed_store;
#[cfg(feature = "store")]
mod payload;
#[cfg(feature = "store")]
mod pending;
#[cfg(feature = "store")]
mod put_turns;
#[cfg(feature = "store")]
mod reads;
#[cfg(feature = "store")]
mod returned_leases;
#[cfg(feature = "store")]
mod schema;
#[cfg(feature = "store")]
mod shutdown;
mod shutdown_report;
#[cfg_attr(not(feature = "store"), path = "absent.rs")]
mod tier;
#[cfg(feature = "store")]
mod value_sizes;
#[cfg(all(feature = "store", feature = "test-util"))]
mod written_keys;

#[cfg(feature = "store")]
pub(crate) use codec::Storable;
#[cfg(feature = "store")]
pub use connect::connect;
#[cfg(feature = "store")]
pub use health::{ServerHealth, ServerState, health};
pub use invalidate_tag::{expire_tag, invalidate_tag};
#[cfg(all(feature = "store", feature = "test-util"))]
pub use observed_store::Operation;
#[cfg(feature = "store")]
pub(crate) use shutdown::shut_down_stores;
pub use shutdown_report::ShutdownReport;
#[cfg(not(feature = "store"))]
pub(crate) use tier::shut_down_stores;
pub(crate) use tier::{HeldLease, LeaseAnswer, LeaseRequest, SharedRead, Tier, TierRead, clear};
