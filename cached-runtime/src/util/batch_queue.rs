//! A queue of operations that are sent together: group commit.
//!
//! An operation that finds few others on their way is sent by itself. One that comes while more are on their way is queued, and a
//! *batch task* sends all that is queued at once. When the reply arrives, it sends what was queued meanwhile, and it ends when
//! nothing is. So the cost of an operation falls as the load grows, as with the group commit of databases (*Implementation
//! Techniques for Main Memory Database Systems*, SIGMOD 1984).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::Moment;
use crate::{Error, Result};

/// The operations `O` of one runtime that wait for a reply `R`, and how many are on their way.
#[derive(Debug)]
pub(crate) struct BatchQueue<O, R> {
    state: Mutex<State<O, R>>,
    limits: QueueLimits,
    /// Returns the error of an operation that is not sent, because too many wait.
    refusal: fn() -> Error,
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
struct State<O, R> {
    /// How many operations were sent by themselves, and wait for the reply.
    singles: usize,
    batch_tasks: usize,
    /// In the order in which they came.
    queue: VecDeque<Queued<O, R>>,
    /// The costs of the operations in the queue.
    queued: usize,
}

/// An operation that waits for a batch.
#[derive(Debug)]
pub(crate) struct Queued<O, R> {
    pub(crate) operation: O,
    /// Closed if the call was dropped.
    pub(crate) reply: oneshot::Sender<Result<R>>,
    cost: usize,
    since: Moment,
}

impl<O, R> Queued<O, R> {
    /// Returns an operation that waits from now on, and what receives its reply.
    pub(crate) fn new(operation: O, cost: usize) -> (Self, oneshot::Receiver<Result<R>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { operation, reply, cost, since: Moment::now() }, receiver)
    }
}

/// What becomes of an operation.
pub(crate) enum Entered<O, R> {
    /// It is sent by itself.
    Single(Single<O, R>, O),
    /// It waits. If there is a batch task, the caller spawns it.
    Queued { reply: oneshot::Receiver<Result<R>>, batch_task: Option<BatchTask<O, R>> },
    /// The queue is full.
    Refused(Error),
}

impl<O, R> BatchQueue<O, R> {
    pub(crate) fn new(limits: QueueLimits, refusal: fn() -> Error) -> Self {
        let state = State { singles: 0, batch_tasks: 0, queue: VecDeque::new(), queued: 0 };
        Self { state: Mutex::new(state), limits, refusal }
    }

    /// Decides how an operation of this cost is sent, and queues it if not by itself; with a cost of `for_another` in the queue, there
    /// is another batch at the same time.
    pub(crate) fn enter(self: &Arc<Self>, operation: O, cost: usize, for_another: usize) -> Entered<O, R> {
        let limits = self.limits;
        let mut state = self.lock();
        if state.batch_tasks == 0 && state.singles < limits.singles {
            state.singles += 1;
            drop(state);
            return Entered::Single(Single(Arc::clone(self)), operation);
        }
        // Created without the lock, for which all threads contend.
        drop(state);
        let (queued, reply) = Queued::new(operation, cost);
        let mut state = self.lock();
        if state.queued + cost > limits.queued {
            drop(state);
            return Entered::Refused((self.refusal)());
        }
        state.queued += cost;
        state.queue.push_back(queued);
        let is_needed =
            state.batch_tasks == 0 || (state.batch_tasks < limits.batch_tasks && state.queued >= for_another);
        let batch_task = is_needed.then(|| {
            state.batch_tasks += 1;
            BatchTask(Some(Arc::clone(self)))
        });
        drop(state);
        Entered::Queued { reply, batch_task }
    }

    /// Takes the operations of one batch from the queue, and those that came before `latest`. If it takes none for a batch, a
    /// batch task ends.
    fn take_or_end(
        &self,
        latest: Moment,
        take: impl FnOnce(&mut VecDeque<Queued<O, R>>) -> Vec<Queued<O, R>>,
    ) -> Taken<O, R> {
        let mut state = self.lock();
        let late = state.queue.iter().take_while(|queued| queued.since < latest).count();
        let late: Vec<_> = state.queue.drain(..late).collect();
        let batch = if state.queue.is_empty() { Vec::new() } else { take(&mut state.queue) };
        state.queued -= late.iter().chain(&batch).map(|queued| queued.cost).sum::<usize>();
        let rejected = if batch.is_empty() { state.end_batch_task() } else { VecDeque::new() };
        drop(state);
        Taken { batch, late, rejected }
    }

    fn lock(&self) -> MutexGuard<'_, State<O, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O, R> State<O, R> {
    /// Ends a batch task. Without any, nobody would send what is queued: the last one returns it.
    fn end_batch_task(&mut self) -> VecDeque<Queued<O, R>> {
        self.batch_tasks -= 1;
        if self.batch_tasks > 0 {
            return VecDeque::new();
        }
        self.queued = 0;
        std::mem::take(&mut self.queue)
    }
}

/// What a batch task has taken from the queue.
struct Taken<O, R> {
    batch: Vec<Queued<O, R>>,
    late: Vec<Queued<O, R>>,
    /// What is dropped, because no batch task is left.
    rejected: VecDeque<Queued<O, R>>,
}

/// The place of an operation that was sent by itself.
pub(crate) struct Single<O, R>(Arc<BatchQueue<O, R>>);

impl<O, R> Drop for Single<O, R> {
    fn drop(&mut self) {
        self.0.lock().singles -= 1;
    }
}

/// The place of a batch task; `None` once it has ended. If the runtime drops the last one, what is queued is dropped.
pub(crate) struct BatchTask<O, R>(Option<Arc<BatchQueue<O, R>>>);

impl<O, R> BatchTask<O, R> {
    /// Returns the operations of the next batch, as `take` takes them from a queue that is not empty: at least one. Returns `None`
    /// if the task ends, because nothing is queued.
    ///
    /// All operations that have waited for longer than `max_wait` are refused.
    pub(crate) async fn next(
        &mut self,
        max_wait: Duration,
        take: impl FnOnce(&mut VecDeque<Queued<O, R>>) -> Vec<Queued<O, R>>,
    ) -> Option<Vec<Queued<O, R>>> {
        // Calls that have just been answered may come again at once.
        yield_now().await;
        let queue = self.0.as_ref()?;
        let Taken { batch, late, rejected } = queue.take_or_end(Moment::now().before(max_wait), take);
        for Queued { reply, .. } in late {
            let _ = reply.send(Err((queue.refusal)())); // Fails if the call was dropped.
        }
        if batch.is_empty() {
            self.0 = None;
        }
        drop(rejected);
        (!batch.is_empty()).then_some(batch)
    }
}

impl<O, R> Drop for BatchTask<O, R> {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else { return };
        let rejected = queue.lock().end_batch_task();
        drop(rejected); // Wakes the callers, outside of the lock.
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::ErrorKind;

    const LIMITS: QueueLimits = QueueLimits { singles: 1, batch_tasks: 2, queued: 6 };
    const MAX_BATCH: usize = 3;

    type Numbers = Arc<BatchQueue<u64, u64>>;

    fn queue() -> Numbers {
        Arc::new(BatchQueue::new(LIMITS, || Error::new(ErrorKind::Overloaded, "too many")))
    }

    type Reply = oneshot::Receiver<Result<u64>>;

    fn enter(queue: &Numbers, number: u64) -> (Reply, Option<BatchTask<u64, u64>>) {
        match queue.enter(number, 1, MAX_BATCH) {
            Entered::Queued { reply, batch_task } => (reply, batch_task),
            Entered::Single(..) | Entered::Refused(_) => panic!("{number} is not queued"),
        }
    }

    async fn next_within(max_wait: Duration, task: &mut BatchTask<u64, u64>) -> Option<Vec<u64>> {
        let take = |queue: &mut VecDeque<_>| queue.drain(..queue.len().min(MAX_BATCH)).collect();
        let batch = task.next(max_wait, take).await?;
        Some(batch.into_iter().map(|queued| queued.operation).collect())
    }

    async fn next(task: &mut BatchTask<u64, u64>) -> Option<Vec<u64>> {
        next_within(Duration::from_secs(600), task).await
    }

    #[tokio::test]
    async fn what_comes_while_one_is_on_its_way_is_a_batch() {
        let queue = queue();
        let Entered::Single(single, 0) = queue.enter(0, 1, MAX_BATCH) else { panic!("it is the first") };
        let (_one, task) = enter(&queue, 1);
        let mut task = task.unwrap();
        assert!(enter(&queue, 2).1.is_none(), "there is a task");
        assert_eq!(next(&mut task).await, Some(vec![1, 2]));
        drop(single);
        assert!(enter(&queue, 3).1.is_none(), "the batch is on its way");
        assert_eq!(next(&mut task).await, Some(vec![3]));
        assert_eq!(next(&mut task).await, None);
        assert!(matches!(queue.enter(4, 1, MAX_BATCH), Entered::Single(..)));
    }

    #[tokio::test]
    async fn a_second_task_sends_what_is_more_than_a_batch() {
        let queue = queue();
        let _single = queue.enter(0, 1, MAX_BATCH);
        let mut tasks: Vec<_> = (1..=6).filter_map(|number| enter(&queue, number).1).collect();
        assert_eq!(tasks.len(), 2);
        assert!(matches!(queue.enter(7, 1, MAX_BATCH), Entered::Refused(_)));
        for (task, batch) in tasks.iter_mut().zip([[1, 2, 3], [4, 5, 6]]) {
            assert_eq!(next(task).await.unwrap(), batch);
        }
        assert!(enter(&queue, 8).1.is_none());
        assert_eq!(next(&mut tasks[1]).await, Some(vec![8]));
    }

    /// All of them, not only those that fit into a batch: the others would wait for longer still.
    #[tokio::test]
    async fn whatever_has_waited_for_too_long_is_refused() {
        let queue = queue();
        let _single = queue.enter(0, 1, MAX_BATCH);
        let (mut replies, tasks): (Vec<_>, Vec<_>) = (1..=5).map(|number| enter(&queue, number)).unzip();
        let mut tasks: Vec<_> = tasks.into_iter().flatten().collect();
        // The clock of the queue cannot be moved.
        thread::sleep(Duration::from_millis(2));
        // A task that has nothing left to send ends.
        assert_eq!(next_within(Duration::from_millis(1), &mut tasks[0]).await, None);
        for reply in &mut replies {
            assert_eq!(reply.try_recv().unwrap().unwrap_err().kind(), ErrorKind::Overloaded);
        }
        assert!(enter(&queue, 6).1.is_none(), "one task is left");
        assert_eq!(next(&mut tasks[1]).await, Some(vec![6]));
    }

    #[tokio::test]
    async fn the_last_task_that_is_dropped_drops_what_is_queued() {
        let queue = queue();
        let _single = queue.enter(0, 1, MAX_BATCH);
        let (mut replies, tasks): (Vec<_>, Vec<_>) = (1..=4).map(|number| enter(&queue, number)).unzip();
        let mut tasks: Vec<_> = tasks.into_iter().flatten().collect();
        drop(tasks.pop());
        assert_eq!(next(&mut tasks[0]).await, Some(vec![1, 2, 3]), "another task is left");
        drop(tasks);
        assert_eq!(queue.lock().queued, 0);
        assert!(replies[3].try_recv().unwrap_err() == oneshot::error::TryRecvError::Closed);
        assert!(enter(&queue, 5).1.is_some());
    }
}
