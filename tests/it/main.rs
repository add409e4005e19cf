//! All tests through the public interface, in one binary; one behaviour a file.
#![allow(clippy::unwrap_used, reason = "in a test it is as good as an assertion, in a helper of tests too")]
#![allow(clippy::unused_async, reason = "what is remembered takes no time in most tests")]
#![allow(
    clippy::option_option,
    clippy::float_cmp,
    reason = "just such values have to come back as they were"
)]
#![allow(clippy::unchecked_time_subtraction, reason = "a test that goes wrong may panic")]

mod both;
mod bytes;
mod capacity;
mod commands;
mod companions;
mod configure;
#[cfg(feature = "moved-clock")]
mod contract;
mod deploys;
mod fleet;
mod futures;
mod harness;
mod history;
mod invalidation;
#[cfg(feature = "moved-clock")]
mod lifetime;
mod lookup;
mod memcached;
mod never_shared;
mod outage;
mod owed;
mod python;
mod real_time;
mod redis;
mod refresh;
mod shared_errors;
mod single_flight;
mod stale;
mod support;
mod tags;
mod waiting;
