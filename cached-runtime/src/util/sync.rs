//! The synchronization primitives of the modules that `tests/shuttle` explores.
//!
//! `tests/shuttle` compiles those modules a second time, with a `sync` of its own: Shuttle's scheduler then decides at
//! each lock and each atomic which thread continues.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread_local;

pub(crate) use tokio::sync::watch;
