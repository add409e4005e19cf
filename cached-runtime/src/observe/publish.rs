//! The counters and gauges of all functions and stores, for the recorder of the crate `metrics`.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};

use crate::policy::{CacheInfo, InstanceInfo, Stats, caches};

/// Publishes the counters of every function, and the state of every store, to the recorder of the crate
/// [`metrics`](https://docs.rs/metrics): call it before each scrape, or from a task that runs every few seconds.
///
/// Calls of cached functions publish nothing themselves, so a hit costs the same with the feature `metrics`. The durations of
/// computations, of waits and of operations of stores, the sizes of values and of batches of reads are recorded as they
/// happen. The names and labels are listed in the guide, on the page [operating](crate::guide::operating).
///
/// Without a recorder it does nothing that can be seen.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::publish_metrics;
///
/// async fn publish_every(interval: Duration) {
///     let mut ticks = tokio::time::interval(interval);
///     loop {
///         ticks.tick().await;
///         publish_metrics();
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let task = tokio::spawn(publish_every(Duration::from_secs(10)));
/// # task.abort();
/// # publish_metrics();
/// # }
/// ```
pub fn publish_metrics() {
    describe();
    for function in caches() {
        for instance in function.instances() {
            publish(&function, &instance);
        }
    }
    #[cfg(feature = "store")]
    for server in crate::shared::health() {
        publish_server(&server);
    }
}

/// A name, what it counts, and its value.
type Count = (&'static str, &'static str, fn(&Stats) -> u64);

const COUNTERS: [Count; 16] = [
    ("cached_hits_total", "Calls answered from memory by a fresh value", |stats| stats.hits),
    ("cached_shared_hits_total", "Calls answered from the shared store by a fresh value", |stats| {
        stats.shared_hits
    }),
    ("cached_stale_hits_total", "Calls answered at once by a value that was no longer fresh", |stats| {
        stats.stale_hits
    }),
    ("cached_computed_total", "Calls that ran the function", |stats| stats.computed),
    ("cached_joined_total", "Calls answered by the computation of another call", |stats| stats.joined),
    ("cached_bypassed_total", "Calls that ran the function without the cache", |stats| stats.bypassed),
    ("cached_background_refreshes_total", "Computations that no call waited for", |stats| {
        stats.background_refreshes
    }),
    ("cached_abandoned_total", "Computations that went on without callers", |stats| stats.abandoned),
    ("cached_errors_total", "Computations that returned an error or exceeded their timeout", |stats| {
        stats.errors
    }),
    ("cached_panics_total", "Computations that panicked", |stats| stats.panics),
    ("cached_store_errors_total", "Operations of the store that failed", |stats| stats.store_errors),
    ("cached_overloaded_total", "Operations of the store that were not sent", |stats| stats.overloaded),
    ("cached_undecodable_total", "Values in the store that could not be used", |stats| stats.undecodable),
    ("cached_rejected_fills_total", "Results that were not stored", |stats| stats.rejected_fills),
    ("cached_expired_leases_total", "Results that were not stored because their lease had ended", |stats| {
        stats.expired_leases
    }),
    ("cached_evictions_total", "Values evicted from memory for want of space", |stats| stats.evictions),
];

fn describe() {
    for (name, meaning, _) in COUNTERS {
        describe_counter!(name, Unit::Count, meaning);
    }
    describe_gauge!("cached_entries", Unit::Count, "Values in memory");
    describe_gauge!("cached_weight", "Sum of the weights of the values in memory");
    describe_gauge!("cached_computations_in_flight", Unit::Count, "Keys that are being computed");
    describe_gauge!("cached_store_up", "1 if the last operation of the store succeeded");
    describe_gauge!(
        "cached_pending_invalidations",
        Unit::Count,
        "Invalidations that the store has not confirmed"
    );
    describe_histogram!("cached_computation_duration_seconds", Unit::Seconds, "Durations of computations");
    describe_histogram!(
        "cached_wait_duration_seconds",
        Unit::Seconds,
        "Durations of calls until a computation they waited for ended"
    );
    describe_histogram!(
        "cached_store_operation_duration_seconds",
        Unit::Seconds,
        "Durations of operations of the store"
    );
    describe_histogram!("cached_value_size_bytes", Unit::Bytes, "Sizes of encoded values");
    describe_histogram!("cached_read_batch_keys", Unit::Count, "Numbers of keys read in one round trip");
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
fn publish(function: &CacheInfo, instance: &InstanceInfo) {
    let labels = [("function", function.name()), ("cache", instance.name()), ("backend", instance.backend())];
    let stats = instance.stats();
    for (name, _, value) in COUNTERS {
        counter!(name, &labels).absolute(value(&stats));
    }
    gauge!("cached_entries", &labels).set(stats.entries as f64);
    gauge!("cached_weight", &labels).set(instance.weight() as f64);
    gauge!("cached_computations_in_flight", &labels).set(instance.computing() as f64);
}

#[cfg(feature = "store")]
#[allow(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
fn publish_server(server: &crate::ServerHealth) {
    // Of a store of the user's own, the name is `Debug` output, in which only the type does not change.
    let name = server.name.split(['{', '(', '[']).next().unwrap_or_default().trim().to_owned();
    // A store that nobody has used yet is neither up nor down.
    if server.state != crate::ServerState::Unused {
        let is_up = server.state == crate::ServerState::Up;
        gauge!("cached_store_up", "server" => name.clone()).set(if is_up { 1.0 } else { 0.0 });
    }
    gauge!("cached_pending_invalidations", "server" => name).set(server.pending_invalidations as f64);
}
