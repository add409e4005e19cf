//! The stand-in for the layer `util`: the clock, boxed futures and random numbers of the crate, with the synchronization
//! primitives of Shuttle, and timers that never end.

#[path = "../../cached-runtime/src/util/aborting.rs"]
pub(crate) mod aborting;
#[path = "../../cached-runtime/src/util/clock.rs"]
mod clock;
#[path = "../../cached-runtime/src/util/future.rs"]
mod future;
#[path = "../../cached-runtime/src/util/is_hash.rs"]
mod is_hash;
#[cfg(all(target_os = "linux", not(debug_assertions)))]
#[path = "../../cached-runtime/src/util/kernel_clock.rs"]
mod kernel_clock;
#[path = "../../cached-runtime/src/util/limits.rs"]
pub(crate) mod limits;
#[path = "../../cached-runtime/src/util/random.rs"]
pub(crate) mod random;
pub(crate) mod timer;
pub(crate) mod watch;

pub(crate) mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError};
    pub(crate) use shuttle::thread_local;

    pub(crate) use super::watch;
}

pub(crate) use clock::{AtomicMoment, Moment, millis};
pub(crate) use future::BoxFuture;
pub(crate) use is_hash::BuildIsHash;
