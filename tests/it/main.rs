//! All tests through the public interface, in one binary; one behaviour a file.
#![allow(clippy::unwrap_used, reason = "in a test it is as good as an assertion, in a helper of tests too")]

mod companions;
mod contract;
mod fleet;
mod harness;
mod lifetime;
mod memcached;
mod never_shared;
mod redis;
