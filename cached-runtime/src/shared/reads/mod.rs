//! Reads of one shared store: calls that read at the same time share a round trip.
//!
//! A call that finds few reads in flight sends its read itself, in its own task. A call that comes while more are in
//! flight is queued, and a *batch task* sends all that is queued as one read, each key once. When the reply arrives, it
//! sends what was queued meanwhile, and it ends when nothing is. So the cost of a read falls as the load grows, as with
//! the group commit of databases. No call sends the read of another one: a call that is dropped, or is not polled any
//! more, delays no other.
//!
//! A call is answered by a read that was sent after the call began, never by one that was already in flight: the result
//! of that one may be older than the call, and older than an invalidation that another process completed before it.

mod batch;
mod queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use tokio::runtime::{Handle, Id};

use self::batch::{Batch, Queued};
pub(crate) use self::batch::{Values, Wanted};
use self::queue::{Entered, ReadQueue};
use super::health::Health;
use super::namespace::within;
use crate::{Error, ErrorKind, Key, Result, Store};

/// The reads of one store.
///
/// Each runtime has a queue of its own, because a task of the runtime sends what is queued.
#[derive(Debug)]
pub(crate) struct Reads {
    store: Arc<dyn Store>,
    health: &'static Health,
    queues: RwLock<Vec<(Id, Arc<ReadQueue>)>>,
}

impl Reads {
    /// Returns the reads of a store, which are the same for all functions with that store.
    pub(super) fn of(store: &Arc<dyn Store>) -> &'static Self {
        static ALL: Mutex<Vec<&'static Reads>> = Mutex::new(Vec::new());
        let mut all: MutexGuard<'_, Vec<&'static Self>> = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reads) = all.iter().find(|reads| reads.store.identity() == store.identity()) {
            return reads;
        }
        // Leaked, which is bounded: there is one for each store of the program.
        let (store, health) = (Arc::clone(store), Health::of(store));
        let reads: &'static Self = Box::leak(Box::new(Self { store, health, queues: RwLock::default() }));
        all.push(reads);
        reads
    }

    /// Returns the values of these keys, from a read that is sent from now on.
    ///
    /// # Errors
    ///
    /// The error of the read; [`ErrorKind::Overloaded`] if the read waited too long to be sent, or the queue is full;
    /// [`ErrorKind::Unreachable`] if the runtime shuts down first; [`ErrorKind::Config`] outside of a runtime.
    ///
    /// # Cancel safety
    ///
    /// A queued read is not sent. The reply to one that was sent is discarded.
    pub(super) async fn read(&'static self, wanted: Wanted) -> Result<Values> {
        let runtime = Handle::try_current()
            .map_err(|_| Error::new(ErrorKind::Config, "a shared store needs a tokio runtime"))?;
        let queue = self.queue(runtime.id());
        match queue.enter(wanted) {
            Entered::Single(_place, wanted) => {
                let keys: Vec<Key> = wanted.keys().cloned().collect();
                self.get(&keys).await.map(Values::Own)
            }
            Entered::Queued { reply, batch_task } => {
                // If the runtime is shutting down, this drops the place, which rejects what is queued.
                drop(queue);
                if let Some(place) = batch_task {
                    runtime.spawn(self.send_batches(place));
                }
                reply.await.unwrap_or_else(|_| Err(shutting_down()))
            }
            Entered::Refused => Err(overloaded()),
        }
    }

    /// Sends what is queued, one batch after the other, until nothing is.
    async fn send_batches(&'static self, mut place: queue::BatchTask) {
        let max_wait = self.store.max_queue_wait();
        while let Some(queued) = place.next(max_wait).await {
            let Some(batch) = Batch::of(queued) else { continue };
            let result = self.get(batch.keys()).await;
            if let Ok(values) = &result {
                place.record(values);
            }
            batch.deliver(result);
        }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        self.health.observe(within(self.store.time_limit(), self.store.get(keys))).await
    }

    /// Returns the queue of a runtime.
    fn queue(&self, runtime: Id) -> Arc<ReadQueue> {
        let find = |queues: &[(Id, Arc<ReadQueue>)]| {
            queues.iter().find(|(id, _)| *id == runtime).map(|(_, queue)| Arc::clone(queue))
        };
        if let Some(queue) = find(&self.queues.read().unwrap_or_else(PoisonError::into_inner)) {
            return queue;
        }
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = find(&queues) {
            return queue;
        }
        // Nothing but reads in flight needs the queue of a runtime, which may have ended.
        queues.retain(|(_, queue)| Arc::strong_count(queue) > 1);
        let queue = Arc::new(ReadQueue::default());
        queues.push((runtime, Arc::clone(&queue)));
        queue
    }
}

/// Returns the error of a read whose runtime ends.
pub(crate) fn shutting_down() -> Error {
    Error::new(ErrorKind::Unreachable, "the runtime is shutting down")
}

/// Returns the error of a read that was not sent.
fn overloaded() -> Error {
    Error::new(ErrorKind::Overloaded, "too many reads wait for the shared store")
}
