//! What is known of a function without its types: its options, its statistics, and the registry of all functions.

mod handle;
mod options;
pub(crate) mod registry;
mod stats;

pub(crate) use handle::Function;
pub use handle::Handle;
pub use options::Policy;
#[cfg(feature = "store")]
pub(crate) use options::{Backend, Encoding};
pub(crate) use options::{Bound, SingleFlight};
pub use registry::{CacheInfo, caches};
pub(crate) use stats::Counters;
pub use stats::Stats;
