//! The tests of the public interface, in one binary: one file per behavior.
#![allow(clippy::unwrap_used, reason = "in a test and its helpers it is as good as an assertion")]
#![allow(clippy::unused_async, reason = "most cached bodies do not await")]
#![allow(clippy::option_option, clippy::float_cmp, reason = "such values are stored and compared")]
#![allow(clippy::unchecked_time_subtraction, reason = "a failing test may panic")]

mod background;
mod bounds;
mod capacity;
mod cluster;
mod commands;
mod companions;
mod concurrent_puts;
mod configure;
#[cfg(feature = "moved-clock")]
mod contract;
mod corrupt_values;
mod credentials;
mod deploys;
mod dropped_puts;
mod expire_tag;
mod forked;
mod futures;
mod harness;
mod health;
mod history;
mod identity;
mod inspector;
mod invalidation;
#[cfg(feature = "moved-clock")]
mod isolation;
mod key_isolation;
mod large_values;
mod late_requests;
mod lease_wait;
mod leases;
#[cfg(feature = "moved-clock")]
mod lifetime;
mod lifetimes_at_run_time;
mod liveness;
mod load;
mod log;
mod lookup;
mod max_concurrent;
mod memcached;
mod metrics;
mod outage;
mod oversized;
mod pending_invalidations;
mod processes;
mod python;
mod readable;
mod real_time;
mod redis;
mod refresh;
mod registry;
mod replies;
mod restarts;
mod self_describing;
mod sentinel;
mod servers;
mod shared_backend;
mod shared_errors;
mod shutdown;
mod single_flight;
mod spans;
mod stale;
mod suggestions;
mod support;
#[cfg(feature = "moved-clock")]
mod sweeping;
mod switches;
mod tags;

mod user_code;
