//! Every order of events: the rooms between a miss and its result, under a scheduler that says at each lock and each
//! atomic which thread goes on.
//!
//! The rooms are those of `cached-runtime`, compiled with another `sync`, whose locks and atomics are Shuttle's, and
//! with a shared store that is a lock. So nothing of Shuttle is in the crate that users depend on, and no flag has to
//! be set. What is not Shuttle's is done at once: quick_cache and the tags between two steps, tokio's `watch` with a step
//! before all that it does. There is no runtime and there are no timers: who is not woken waits for ever, and that is
//! what Shuttle calls a deadlock.

#![allow(dead_code, unused_imports, reason = "what is not explored is compiled all the same")]

#[path = "../../cached-runtime/src/error.rs"]
mod error;
#[path = "../../cached-runtime/src/lookup.rs"]
mod lookup;
#[path = "../../cached-runtime/src/memory/mod.rs"]
mod memory;
#[path = "../../cached-runtime/src/policy/mod.rs"]
mod policy;

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
