//! What is measured as it happens, where something slow happens anyway. Without the feature `metrics` nothing is.
//!
//! The recorder of the crate `metrics` makes histograms of it. What is counted is published by `observe/publish`.

use std::time::Duration;

#[cfg(feature = "metrics")]
mod recorded {
    use metrics::histogram;

    use super::Duration;

    #[cfg(feature = "store")]
    /// Returns the name of an instance: its namespace without the version.
    fn cache_of(namespace: &str) -> String {
        namespace.rsplit_once(".v").map_or(namespace, |(name, _)| name).to_owned()
    }

    pub(crate) fn computation(cache: &'static str, cause: &'static str, took: Duration) {
        histogram!("cached_computation_duration_seconds", "cache" => cache, "cause" => cause).record(took);
    }

    pub(crate) fn wait(cache: &'static str, took: Duration) {
        histogram!("cached_wait_duration_seconds", "cache" => cache).record(took);
    }

    #[cfg(feature = "store")]
    pub(crate) fn store_operation(operation: &'static str, is_ok: bool, took: Duration) {
        if operation == "get" && is_ok {
            // The usual case: labels that are constants are not allocated.
            let histogram = histogram!(
                "cached_store_operation_duration_seconds", "operation" => "get", "outcome" => "ok"
            );
            return histogram.record(took);
        }
        let outcome = if is_ok { "ok" } else { "error" };
        let histogram = histogram!(
            "cached_store_operation_duration_seconds", "operation" => operation, "outcome" => outcome
        );
        histogram.record(took);
    }

    #[cfg(feature = "store")]
    #[allow(clippy::cast_precision_loss, reason = "of a size, 52 bits suffice")]
    pub(crate) fn value_size(namespace: &str, bytes: usize) {
        histogram!("cached_value_size_bytes", "cache" => cache_of(namespace)).record(bytes as f64);
    }

    #[cfg(feature = "store")]
    #[allow(clippy::cast_precision_loss, reason = "of a number of keys, 52 bits suffice")]
    pub(crate) fn read_batch(keys: usize) {
        histogram!("cached_read_batch_keys").record(keys as f64);
    }
}

#[cfg(not(feature = "metrics"))]
mod recorded {
    use super::Duration;

    pub(crate) const fn computation(_cache: &'static str, _cause: &'static str, _took: Duration) {}

    pub(crate) const fn wait(_cache: &'static str, _took: Duration) {}

    #[cfg(feature = "store")]
    pub(crate) const fn store_operation(_operation: &'static str, _is_ok: bool, _took: Duration) {}

    #[cfg(feature = "store")]
    pub(crate) const fn value_size(_namespace: &str, _bytes: usize) {}

    #[cfg(feature = "store")]
    pub(crate) const fn read_batch(_keys: usize) {}
}

pub(crate) use recorded::*;
