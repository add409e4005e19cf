//! The shared tier: values of a function in a [`Store`](crate::Store), with the envelope and the codec around them,
//! the generations they depend on, the leases on their keys, and the invalidations that a store did not confirm.
//!
//! A failure of the store is a miss here; no error reaches a call. In builds without a shared store `absent` stands in
//! for the tier.

#[cfg(feature = "store")]
mod codec;
#[cfg(feature = "store")]
mod envelope;
#[cfg(feature = "store")]
mod generations;
#[cfg(feature = "store")]
mod held_lease;
mod invalidate_tag;
#[cfg(feature = "store")]
mod invalidation;
#[cfg(feature = "store")]
mod lease;
#[cfg(feature = "store")]
mod location;
#[cfg(feature = "store")]
mod namespace;
#[cfg(feature = "store")]
mod payload;
#[cfg(feature = "store")]
mod pending;
#[cfg(feature = "store")]
mod reads;
#[cfg(feature = "store")]
mod schema;
#[cfg_attr(not(feature = "store"), path = "absent.rs")]
mod tier;

#[cfg(feature = "store")]
pub(crate) use codec::Storable;
pub use invalidate_tag::invalidate_tag;
pub(crate) use tier::{HeldLease, LeaseAnswer, LeaseRequest, SharedRead, Tier, clear};
