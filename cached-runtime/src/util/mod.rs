//! What every layer uses: the clock, timers, random numbers, the limits that a configuration sets, the queue of operations
//! that are sent together, tasks that end with their owner, the mark that the process is about to end, boxed futures, and
//! the synchronization primitives that tests replace.

pub(crate) mod aborting;
#[cfg(feature = "store")]
pub(crate) mod batch_queue;
mod clock;
pub(crate) mod end_of_process;
mod future;
mod is_hash;
#[cfg(all(target_os = "linux", any(test, not(any(debug_assertions, feature = "test-util")))))]
mod kernel_clock;
pub(crate) mod limits;
pub(crate) mod random;
pub(crate) mod sync;
pub(crate) mod timer;

#[cfg(feature = "store")]
pub(crate) use clock::unix_millis;
pub(crate) use clock::{AtomicMoment, Moment, millis};
pub use future::BoxFuture;
#[cfg(feature = "store")]
pub(crate) use future::join_all;
pub(crate) use is_hash::BuildIsHash;
