//! What others see of a running program: its metrics, and a page for people.

#[cfg(feature = "inspector")]
mod inspector;
#[cfg(feature = "metrics")]
mod publish;

#[cfg(feature = "inspector")]
pub use inspector::{Inspector, inspector};
#[cfg(feature = "metrics")]
pub use publish::publish_metrics;
