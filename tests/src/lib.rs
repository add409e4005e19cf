//! What the tests share: servers of their own, and what breaks them.
#![allow(clippy::missing_panics_doc, reason = "everything here panics when it fails: it is for tests only")]

pub mod forked;
pub mod full;
pub mod map_store;
pub mod own_process;
mod port;
mod process;
pub mod proxy;
pub mod runs;
pub mod server;
mod wire;

/// Where the mark of all tags lies in every store, see `docs/WIRE.md`.
pub const MARK_OF_TAGS: &str = "tags:ace420dd6b8aad65fd02892541c4b90d";

// The documentation tests compile and run the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
