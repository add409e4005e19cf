//! What an expansion is written against: the static of a cached function, its instances, the operations on a key, and
//! the companions.
//!
//! `private` lists the names that expansions use; nothing else in this crate calls them.

mod cached_function;
mod companions;
mod entry_ref;
mod instance_name;
mod method_cache;
mod operations;
#[doc(hidden)]
pub mod private;

pub use method_cache::MethodCache;
