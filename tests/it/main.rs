//! All tests through the public interface, in one binary; one behaviour a file.
#![allow(clippy::unwrap_used, reason = "in a test it is as good as an assertion, in a helper of tests too")]

mod both;
mod bytes;
mod companions;
mod configure;
mod contract;
mod fleet;
mod futures;
mod harness;
mod history;
mod invalidation;
mod lifetime;
mod memcached;
mod never_shared;
mod outage;
mod owed;
mod python;
mod redis;
mod single_flight;
mod support;
