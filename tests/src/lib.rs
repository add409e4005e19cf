//! Infrastructure of the tests: servers, stores, a proxy that breaks connections, and processes.
#![allow(clippy::missing_panics_doc, reason = "helpers of tests panic when they fail")]

pub mod cluster;
pub mod forked;
pub mod full;
pub mod map_store;
pub mod own_process;
mod port;
mod process;
pub mod proxy;
mod reply;
pub mod runs;
pub mod sentinel;
pub mod server;
mod wire;

/// The key of the epoch of all tags in every store, see `docs/WIRE.md`.
pub const EPOCH_KEY_OF_TAGS: &str = "tags:2f5584ec03a7b97eecaf9f532a7b3a64";

// The documentation tests compile and run the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
