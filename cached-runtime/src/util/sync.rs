//! What threads meet at, in the rooms that are explored.
//!
//! `tests/shuttle` compiles those rooms a second time with a `sync` of its own, and there decides at every one of these
//! which thread goes on.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
pub(crate) use std::thread_local;

pub(crate) use tokio::sync::watch;
