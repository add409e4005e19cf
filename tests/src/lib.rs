//! What the tests share: servers of their own, and what breaks them.
#![allow(clippy::missing_panics_doc, reason = "everything here panics when it fails: it is for tests only")]

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
pub const MARK_OF_TAGS: &str = "tags:d6fd6091fa789f62d8261d0e5ad8ddd6";
