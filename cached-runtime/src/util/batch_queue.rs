//! A queue of operations that are sent together: group commit.
//!
//! An operation that finds few others on their way is sent by itself. One that comes while more are on their way is queued, and a
//! *batch task* sends all that is queued at once. When the reply arrives, it sends what was queued meanwhile, and it ends when
//! nothing is. So the cost of an operation falls as the load grows, as with the group commit of databases (*Implementation
//! Techniques for Main Memory Database Systems*, SIGMOD 1984).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::yield_now;

use super::Moment;

/// An operation that waits for a batch.
pub(crate) trait Waiting {
    /// Returns how much of a batch it takes.
    fn cost(&self) -> usize;
    /// Returns when it was queued.
    fn since(&self) -> Moment;
    /// Ends it with the error that too many operations wait.
    fn refuse(self);
}

/// The operations of one runtime that wait, and how many are on their way.
#[derive(Debug)]
pub(crate) struct BatchQueue<T> {
    state: Mutex<State<T>>,
    limits: QueueLimits,
}

/// What a queue has at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    /// How many operations are sent by themselves before others are queued.
    pub(crate) singles: usize,
    /// How many batch tasks there are at most. There is more than one only if a batch is full.
    pub(crate) batch_tasks: usize,
    /// The costs of the operations that wait at most.
    pub(crate) queued: usize,
}

#[derive(Debug)]
struct State<T> {
    /// How many operations were sent by themselves, and wait for the reply.
    singles: usize,
    batch_tasks: usize,
    queue: VecDeque<T>,
    /// The costs of the operations in the queue.
    queued: usize,
}

/// What becomes of an operation.
pub(crate) enum Entered<T: Waiting, O> {
    /// It is sent by itself.
    Single(Single<T>, O),
    /// It waits. If there is a batch task, the caller spawns it.
    Queued(Option<BatchTask<T>>),
    /// The queue is full.
    Refused,
}

impl<T: Waiting> BatchQueue<T> {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        let state = State { singles: 0, batch_tasks: 0, queue: VecDeque::new(), queued: 0 };
        Self { state: Mutex::new(state), limits }
    }

    /// Decides how an operation of this cost is sent. `queued` makes it an operation that waits; a batch is full with a cost of
    /// `max_batch`.
    pub(crate) fn enter<O>(
        self: &Arc<Self>,
        operation: O,
        cost: usize,
        max_batch: usize,
        queued: impl FnOnce(O) -> T,
    ) -> Entered<T, O> {
        let limits = self.limits;
        let mut state = self.lock();
        if state.batch_tasks == 0 && state.singles < limits.singles && state.queue.is_empty() {
            state.singles += 1;
            drop(state);
            return Entered::Single(Single(Arc::clone(self)), operation);
        }
        if state.queued + cost > limits.queued {
            return Entered::Refused;
        }
        state.queued += cost;
        state.queue.push_back(queued(operation));
        let is_needed =
            state.batch_tasks == 0 || (state.batch_tasks < limits.batch_tasks && state.queued >= max_batch);
        let batch_task = is_needed.then(|| {
            state.batch_tasks += 1;
            BatchTask(Some(Arc::clone(self)))
        });
        drop(state);
        Entered::Queued(batch_task)
    }

    /// Takes the operations of one batch from the queue. If it is empty, a batch task ends.
    fn take_or_end(&self, take: impl FnOnce(&mut VecDeque<T>) -> Vec<T>) -> Vec<T> {
        let mut state = self.lock();
        if state.queue.is_empty() {
            state.batch_tasks -= 1;
            return Vec::new();
        }
        let taken = take(&mut state.queue);
        state.queued -= taken.iter().map(T::cost).sum::<usize>();
        taken
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of an operation that was sent by itself.
pub(crate) struct Single<T: Waiting>(Arc<BatchQueue<T>>);

impl<T: Waiting> Drop for Single<T> {
    fn drop(&mut self) {
        self.0.lock().singles -= 1;
    }
}

/// The place of a batch task; `None` once it has ended. If the runtime drops the last one, what is queued is dropped.
pub(crate) struct BatchTask<T: Waiting>(Option<Arc<BatchQueue<T>>>);

impl<T: Waiting> BatchTask<T> {
    /// Returns the operations of the next batch, as `take` takes them from the queue: at least one. Returns `None` if the task
    /// ends, because nothing is queued.
    ///
    /// Operations that have waited for longer than `max_wait` are refused.
    pub(crate) async fn next(
        &mut self,
        max_wait: Duration,
        take: impl FnOnce(&mut VecDeque<T>) -> Vec<T>,
    ) -> Option<Vec<T>> {
        // Calls that have just been answered may come again at once.
        yield_now().await;
        let taken = self.0.as_ref()?.take_or_end(take);
        if taken.is_empty() {
            self.0 = None;
            return None;
        }
        let latest = Moment::now().before(max_wait);
        // The first has waited for longest.
        if taken.first().is_none_or(|first| first.since() >= latest) {
            return Some(taken);
        }
        let (taken, late): (Vec<_>, Vec<_>) = taken.into_iter().partition(|queued| queued.since() >= latest);
        late.into_iter().for_each(T::refuse);
        Some(taken)
    }
}

impl<T: Waiting> Drop for BatchTask<T> {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else { return };
        let mut state = queue.lock();
        state.batch_tasks -= 1;
        if state.batch_tasks == 0 {
            state.queued = 0;
            let rejected = std::mem::take(&mut state.queue);
            drop(state);
            drop(rejected); // Wakes the callers, outside of the lock.
        }
    }
}
