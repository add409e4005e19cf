//! Every order of events: the rooms between a miss and its result, under a scheduler that says at each lock and each
//! atomic which thread goes on.
//!
//! The rooms are those of `cached-runtime`, compiled with another `sync`, whose locks and atomics are Shuttle's, and
//! with a shared store that is a lock. So nothing of Shuttle is in the crate that users depend on, and no flag has to
//! be set. What is not Shuttle's is done at once: quick_cache and the tags between two steps, tokio's `watch` with a step
//! before all that it does. There is no runtime and there are no timers: who is not woken waits for ever, and that is
//! what Shuttle calls a deadlock.

#![allow(dead_code, reason = "what is not explored is compiled all the same")]

#[path = "../../cached-runtime/src/attempt.rs"]
mod attempt;
#[path = "../../cached-runtime/src/cache.rs"]
mod cache;
#[path = "../../cached-runtime/src/call.rs"]
mod call;
#[path = "../../cached-runtime/src/clock.rs"]
mod clock;
#[path = "../../cached-runtime/src/entry.rs"]
mod entry;
#[path = "../../cached-runtime/src/error.rs"]
mod error;
#[path = "../../cached-runtime/src/failures.rs"]
mod failures;
#[path = "../../cached-runtime/src/flight.rs"]
mod flight;
#[path = "../../cached-runtime/src/future.rs"]
mod future;
#[path = "../../cached-runtime/src/handle.rs"]
mod handle;
#[path = "../../cached-runtime/src/lookup.rs"]
mod lookup;
#[path = "../../cached-runtime/src/memory.rs"]
mod memory;
#[path = "../../cached-runtime/src/outcome.rs"]
mod outcome;
#[path = "../../cached-runtime/src/parts.rs"]
mod parts;
#[path = "../../cached-runtime/src/patience.rs"]
mod patience;
#[path = "../../cached-runtime/src/policy.rs"]
mod policy;
#[path = "../../cached-runtime/src/random.rs"]
mod random;
#[path = "../../cached-runtime/src/stats.rs"]
mod stats;
#[path = "../../cached-runtime/src/tags.rs"]
mod tags;

mod background;
mod calls;
mod explore;
mod flights;
mod tier;
mod watch;

use crate::error::{Error, ErrorKind, Result};
use crate::future::BoxFuture;
use crate::stats::Stats;

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError};
    pub(crate) use shuttle::thread_local;

    pub(crate) use crate::watch;
}
