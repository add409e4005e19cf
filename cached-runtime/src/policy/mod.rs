//! What is known of a cached function without its types: its options, its statistics, and
//! the registry of all cached functions.

mod config;
mod erased_function;
mod instance_name;
mod isolation;
mod lifetime;
mod options;
mod overrides;
mod registry;
mod stats;
mod striped_counter;

pub use config::{Config, configure};
pub(crate) use erased_function::ErasedFunction;
pub(crate) use instance_name::InstanceName;
pub(crate) use isolation::IsolationId;
#[cfg(feature = "store")]
pub(crate) use isolation::own_name;
#[cfg(feature = "test-util")]
pub(crate) use isolation::{Isolation, current as current_isolation};
#[cfg(feature = "store")]
pub(crate) use options::Encoding;
pub use options::Policy;
pub(crate) use options::{Abandoned, Bound, SingleFlight};
pub(crate) use overrides::{Mode, Scope, read_environment};
pub use overrides::{recompute, set_enabled, uncached};
pub(crate) use registry::register;
pub use registry::{CacheInfo, Declaration, InstanceInfo, caches};
pub(crate) use stats::Counters;
pub use stats::Stats;
