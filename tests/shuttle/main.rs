//! Interleavings: the layers between a miss and its result, under a scheduler that decides at each lock and each atomic
//! operation which thread runs next.
//!
//! The modules are the files of `cached-runtime`, compiled with the locks and atomics of Shuttle in place of `sync`, and
//! with a shared store that is a mutex. So the crate that users depend on contains nothing of Shuttle, and no `cfg` flag
//! has to be set. Other synchronization is not explored: an operation of quick_cache or of the tags is one step, and
//! each operation of tokio's `watch` follows a step. There are no runtime and no timers, so a call that is not woken
//! waits forever, which Shuttle reports as a deadlock.

#![allow(dead_code, unused_imports, reason = "parts of the modules are not explored")]

#[path = "../../cached-runtime/src/error.rs"]
mod error;
#[path = "../../cached-runtime/src/lookup.rs"]
mod lookup;
#[path = "../../cached-runtime/src/measure.rs"]
mod measure;
#[path = "../../cached-runtime/src/memory/mod.rs"]
mod memory;
#[path = "../../cached-runtime/src/policy/mod.rs"]
mod policy;
#[path = "../../cached-runtime/src/trace.rs"]
mod trace;

mod call;
mod calls;
mod explore;
mod flights;
mod shared;
mod signature;
mod util;

use crate::error::{Error, ErrorKind, Result};
use crate::lookup::Lookup;
use crate::policy::Stats;
use crate::util::BoxFuture;
