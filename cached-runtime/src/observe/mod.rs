//! What others see of a running program: its metrics.

mod publish;

pub use publish::publish_metrics;
