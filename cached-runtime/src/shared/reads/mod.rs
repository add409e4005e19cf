//! Reads of one shared store: calls that read at the same time share a round trip.
//!
//! A call that finds few reads in flight sends its read itself, in its own task. A call that comes while more are in
//! flight is queued, and a *batch task* sends all that is queued as one read, each key once. When the reply arrives, it
//! sends what was queued meanwhile, and it ends when nothing is: see [`batch_queue`](crate::util::batch_queue). No call sends
//! the read of another one: a call that is dropped, or is not polled any more, delays no other.
//!
//! A call is answered by a read that was sent after the call began, never by one that was already in flight: the result
//! of that one may be older than the call, and older than an invalidation that another process completed before it.

mod batch;
mod queue;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::task;

use self::batch::{Batch, Queued, WantedKeys};
pub(crate) use self::batch::{CommonKeys, Values, Wanted};
pub(super) use self::queue::MAX_BATCH_BYTES;
use super::health::Health;
use super::namespace::within;
use super::observed_store::Operation;
use crate::store::{LARGE_BYTES, shutting_down};
use crate::util::aborting::Aborting;
use crate::util::batch_queue::{BatchQueue, BatchTask, Entered, Single};
use crate::{BoxFuture, Error, ErrorKind, Key, Result, Store, measure};

/// The reads of one store.
///
/// Each runtime has a queue of its own, because a task of the runtime sends what is queued.
#[derive(Debug)]
pub(crate) struct Reads {
    store: Arc<dyn Store>,
    health: &'static Health,
    queues: RwLock<Vec<(QueueId, Arc<ReadQueue>)>>,
}

type ReadQueue = BatchQueue<Wanted, Values>;

/// The runtime that a queue is for, and whether it is that for large values: others do not wait behind those.
type QueueId = (Id, bool);

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

    /// Begins to read these keys.
    pub(super) fn begin(&'static self, wanted: Wanted) -> Reading {
        let Ok(runtime) = Handle::try_current() else {
            return Reading::NotSent(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime"));
        };
        match self.enter((runtime.id(), wanted.largest_bytes() > LARGE_BYTES), wanted) {
            Entered::Single(place, wanted) => {
                let reading = self.read_alone(place, wanted);
                // The timers of the store need a task.
                if task::try_id().is_some() {
                    Reading::Alone(Box::pin(reading))
                } else {
                    spawn(&runtime, reading)
                }
            }
            Entered::Queued { reply, batch_task } => {
                if let Some(task) = batch_task {
                    // If the runtime is shutting down, this drops the task, which rejects what is queued.
                    runtime.spawn(self.send_batches(task));
                }
                Reading::Queued(reply)
            }
            Entered::Refused(error) => Reading::NotSent(error),
        }
    }

    /// Reads keys without other calls.
    async fn read_alone(&'static self, _place: Single<Wanted, Values>, wanted: Wanted) -> Result<Values> {
        let (largest, sizes) = (wanted.largest_bytes(), wanted.sizes);
        let values = match wanted.into_keys() {
            WantedKeys::Pair(keys) => self.get(&keys, largest).await?,
            WantedKeys::Any(keys) => self.get(&keys, largest).await?,
        };
        let values = Values::Own(values);
        values.record_size(sizes);
        Ok(values)
    }

    /// Sends what is queued, one batch after the other, until nothing is.
    async fn send_batches(&'static self, mut task: BatchTask<Wanted, Values>) {
        let max_wait = self.store.max_queue_wait();
        while let Some(queued) = task.next(max_wait, queue::take).await {
            let largest = queued.iter().map(|queued| queued.operation.largest_bytes()).max().unwrap_or(0);
            let Some(batch) = Batch::of(queued) else { continue };
            let result = self.get(batch.keys(), largest).await;
            batch.deliver(result);
        }
    }

    /// Reads keys whose values have this size at most, as far as is known.
    async fn get(&self, keys: &[Key], largest: usize) -> Result<Vec<Option<Bytes>>> {
        let reading = if largest > LARGE_BYTES {
            // A batch has one large value, or few. If each key had its time, a server that hangs would be waited for for hours.
            self.store.get_large(keys, largest.saturating_add(MAX_BATCH_BYTES))
        } else {
            self.store.get(keys)
        };
        measure::read_batch(keys.len());
        self.health.observe(Operation::Get, within(self.store.time_limit(), reading)).await
    }

    /// Enters a queue.
    fn enter(&'static self, queue_id: QueueId, wanted: Wanted) -> Entered<Wanted, Values> {
        let enter = |queue: &Arc<ReadQueue>, wanted: Wanted| {
            let (keys, for_another) = (wanted.len(), queue::keys_for_another_batch(&wanted));
            queue.enter(wanted, keys, for_another)
        };
        let mut wanted = Some(wanted);
        let entered = LAST_QUEUE.try_with(|last| match &*last.borrow() {
            Some((reads, id, queue)) if std::ptr::eq(*reads, self) && *id == queue_id => {
                wanted.take().map(|wanted| enter(queue, wanted))
            }
            Some(_) | None => None,
        });
        if let Ok(Some(entered)) = entered {
            return entered;
        }
        let queue = self.queue(queue_id);
        let _ = LAST_QUEUE.try_with(|last| last.replace(Some((self, queue_id, Arc::clone(&queue)))));
        wanted.map_or_else(|| Entered::Refused(overloaded()), |wanted| enter(&queue, wanted))
    }

    /// Returns a queue.
    fn queue(&self, queue_id: QueueId) -> Arc<ReadQueue> {
        let find = |queues: &[(QueueId, Arc<ReadQueue>)]| {
            queues.iter().find(|(id, _)| *id == queue_id).map(|(_, queue)| Arc::clone(queue))
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
        let queue = Arc::new(ReadQueue::new(queue::LIMITS, overloaded));
        queues.push((queue_id, Arc::clone(&queue)));
        queue
    }
}

/// A read that has begun.
///
/// # Errors
///
/// The error of the read; [`ErrorKind::Overloaded`] if the read waited too long to be sent, or the queue is full;
/// [`ErrorKind::Unreachable`] if the runtime shuts down first; [`ErrorKind::Config`] outside of a runtime.
///
/// # Cancel safety
///
/// A queued read is not sent. The reply to one that was sent is discarded.
pub(crate) enum Reading {
    /// The call sends the read itself.
    Alone(BoxFuture<'static, Result<Values>>),
    /// A batch task sends it.
    Queued(oneshot::Receiver<Result<Values>>),
    NotSent(Error),
}

impl Future for Reading {
    type Output = Result<Values>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Values>> {
        match &mut *self {
            Self::Alone(reading) => reading.as_mut().poll(cx),
            Self::Queued(reply) => {
                let reply = ready!(Pin::new(reply).poll(cx));
                Poll::Ready(reply.unwrap_or_else(|_| Err(shutting_down())))
            }
            Self::NotSent(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

/// Returns a read that is made in a task of its own.
fn spawn(runtime: &Handle, reading: impl Future<Output = Result<Values>> + Send + 'static) -> Reading {
    let reading = Aborting::new(runtime.spawn(reading));
    Reading::Alone(Box::pin(async { reading.await.unwrap_or_else(|_| Err(shutting_down())) }))
}

thread_local! {
    /// The queue that this thread has used last, which it usually uses again: threads would contend for the table of queues.
    static LAST_QUEUE: RefCell<Option<(&'static Reads, QueueId, Arc<ReadQueue>)>> = const { RefCell::new(None) };
}

/// Returns the error of a read that was not sent.
fn overloaded() -> Error {
    Error::new(ErrorKind::Overloaded, "too many reads wait for the shared store")
}
