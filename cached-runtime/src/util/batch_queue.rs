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

impl<T> State<T> {
    /// Ends a batch task. Without any, nobody would send what is queued: the last one returns it.
    fn end_batch_task(&mut self) -> VecDeque<T> {
        self.batch_tasks -= 1;
        if self.batch_tasks > 0 {
            return VecDeque::new();
        }
        self.queued = 0;
        std::mem::take(&mut self.queue)
    }
}

/// What a batch task has taken from the queue.
struct Taken<T> {
    batch: Vec<T>,
    late: Vec<T>,
    /// What is dropped, because no batch task is left.
    rejected: VecDeque<T>,
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

    /// Takes the operations of one batch from the queue, and those that came before `latest`. If it takes none for a batch, a
    /// batch task ends.
    fn take_or_end(&self, latest: Moment, take: impl FnOnce(&mut VecDeque<T>) -> Vec<T>) -> Taken<T> {
        let mut state = self.lock();
        // The first has waited for longest.
        let late = state.queue.iter().take_while(|queued| queued.since() < latest).count();
        let late: Vec<_> = state.queue.drain(..late).collect();
        let batch = if state.queue.is_empty() { Vec::new() } else { take(&mut state.queue) };
        state.queued -= late.iter().chain(&batch).map(T::cost).sum::<usize>();
        let rejected = if batch.is_empty() { state.end_batch_task() } else { VecDeque::new() };
        drop(state);
        Taken { batch, late, rejected }
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
    /// Returns the operations of the next batch, as `take` takes them from a queue that is not empty: at least one. Returns `None`
    /// if the task ends, because nothing is queued.
    ///
    /// All operations that have waited for longer than `max_wait` are refused.
    pub(crate) async fn next(
        &mut self,
        max_wait: Duration,
        take: impl FnOnce(&mut VecDeque<T>) -> Vec<T>,
    ) -> Option<Vec<T>> {
        // Calls that have just been answered may come again at once.
        yield_now().await;
        let Taken { batch, late, rejected } =
            self.0.as_ref()?.take_or_end(Moment::now().before(max_wait), take);
        if batch.is_empty() {
            self.0 = None;
        }
        late.into_iter().for_each(T::refuse);
        drop(rejected);
        (!batch.is_empty()).then_some(batch)
    }
}

impl<T: Waiting> Drop for BatchTask<T> {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else { return };
        let rejected = queue.lock().end_batch_task();
        drop(rejected); // Wakes the callers, outside of the lock.
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, error::TryRecvError, unbounded_channel};

    use super::*;

    /// An operation that says what became of it.
    struct Number(u64, Moment, UnboundedSender<u64>);

    impl Waiting for Number {
        fn cost(&self) -> usize {
            1
        }

        fn since(&self) -> Moment {
            self.1
        }

        fn refuse(self) {
            let _ = self.2.send(self.0);
        }
    }

    struct Queue {
        queue: Arc<BatchQueue<Number>>,
        refusals: UnboundedSender<u64>,
        refused: UnboundedReceiver<u64>,
    }

    const LIMITS: QueueLimits = QueueLimits { singles: 1, batch_tasks: 2, queued: 6 };
    const MAX_BATCH: usize = 3;

    impl Queue {
        fn new() -> Self {
            let (refusals, refused) = unbounded_channel();
            Self { queue: Arc::new(BatchQueue::new(LIMITS)), refusals, refused }
        }

        fn enter(&self, number: u64, since: Moment) -> Entered<Number, u64> {
            let refusals = self.refusals.clone();
            self.queue.enter(number, 1, MAX_BATCH, |number| Number(number, since, refusals))
        }

        /// Queues an operation that never waits for too long; returns the batch task that is to be spawned.
        fn queue(&self, number: u64) -> Option<BatchTask<Number>> {
            match self.enter(number, Moment::now().after(Duration::from_secs(60))) {
                Entered::Queued(task) => task,
                Entered::Single(..) | Entered::Refused => panic!("{number} is not queued"),
            }
        }
    }

    async fn next(task: &mut BatchTask<Number>) -> Option<Vec<u64>> {
        let take = |queue: &mut VecDeque<Number>| queue.drain(..queue.len().min(MAX_BATCH)).collect();
        let batch = task.next(Duration::ZERO, take).await?;
        Some(batch.iter().map(|number| number.0).collect())
    }

    #[tokio::test]
    async fn what_comes_while_one_is_on_its_way_is_a_batch() {
        let queue = Queue::new();
        let Entered::Single(single, 0) = queue.enter(0, Moment::now()) else { panic!("it is the first") };
        let mut task = queue.queue(1).unwrap();
        assert!(queue.queue(2).is_none(), "there is a task");
        assert_eq!(next(&mut task).await, Some(vec![1, 2]));
        drop(single);
        // The order of operations is kept while a batch is on its way.
        assert!(queue.queue(3).is_none());
        assert_eq!(next(&mut task).await, Some(vec![3]));
        assert_eq!(next(&mut task).await, None);
        assert!(matches!(queue.enter(4, Moment::now()), Entered::Single(..)));
    }

    #[tokio::test]
    async fn a_second_task_sends_what_is_more_than_a_batch() {
        let queue = Queue::new();
        let _single = queue.enter(0, Moment::now());
        let mut tasks: Vec<_> = (1..=6).filter_map(|number| queue.queue(number)).collect();
        assert_eq!(tasks.len(), 2);
        assert!(matches!(queue.enter(7, Moment::now()), Entered::Refused), "the queue is full");
        for (task, batch) in tasks.iter_mut().zip([[1, 2, 3], [4, 5, 6]]) {
            assert_eq!(next(task).await.unwrap(), batch);
        }
        assert!(queue.queue(8).is_none());
        assert_eq!(next(&mut tasks[1]).await, Some(vec![8]));
    }

    /// All of them, not only those that fit into a batch: the others would wait for longer still.
    #[tokio::test]
    async fn whatever_has_waited_for_too_long_is_refused() {
        let mut queue = Queue::new();
        let _single = queue.enter(0, Moment::now());
        let long_ago = Moment::now().before(Duration::from_millis(1));
        let mut tasks = Vec::new();
        for number in 1..=4 {
            let Entered::Queued(task) = queue.enter(number, long_ago) else {
                panic!("{number} is not queued")
            };
            tasks.extend(task);
        }
        assert!(queue.queue(5).is_none());
        assert_eq!(next(&mut tasks[0]).await, Some(vec![5]));
        for number in 1..=4 {
            assert_eq!(queue.refused.try_recv(), Ok(number));
        }
        // A task that has nothing left to send ends.
        assert!(matches!(queue.enter(6, long_ago), Entered::Queued(None)));
        for task in &mut tasks {
            assert_eq!(next(task).await, None);
        }
        assert_eq!(queue.refused.try_recv(), Ok(6));
        assert!(queue.queue(7).is_some());
    }

    #[tokio::test]
    async fn the_last_task_that_is_dropped_drops_what_is_queued() {
        let mut queue = Queue::new();
        let _single = queue.enter(0, Moment::now());
        let mut tasks: Vec<_> = (1..=4).filter_map(|number| queue.queue(number)).collect();
        drop(tasks.pop());
        assert_eq!(next(&mut tasks[0]).await, Some(vec![1, 2, 3]), "another task is left");
        drop(tasks);
        assert_eq!(queue.queue.lock().queued, 0);
        assert_eq!(queue.refused.try_recv(), Err(TryRecvError::Empty), "it was dropped, not refused");
        assert!(queue.queue(5).is_some());
    }
}
