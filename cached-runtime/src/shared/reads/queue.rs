//! The reads of one runtime that wait to be sent, and how many are in flight.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Queued, Values, Wanted, overloaded};
use crate::util::Moment;
use crate::util::batch_queue::{self, BatchQueue, QueueLimits, Single};
use crate::{Key, Result};

/// The reads of one runtime.
#[derive(Debug)]
pub(super) struct ReadQueue {
    queue: Arc<BatchQueue<Queued>>,
    /// The mean size of a value that a batch has read, in bytes.
    mean_size: AtomicUsize,
}

/// The costs are numbers of keys.
const LIMITS: QueueLimits = QueueLimits { singles: 2, batch_tasks: 4, queued: 200_000 };
/// The maximum number of keys of a batch.
const MAX_BATCH_KEYS: usize = 1_024;
/// The size of the values of a batch, in bytes, if they have the mean size of the last ones.
pub(super) const MAX_BATCH_BYTES: usize = 1 << 20;
/// If at most so many keys fit into a batch, it answers all calls that want one of them, wherever they are in the queue.
const MAX_LARGE_KEYS: usize = 16;

impl batch_queue::Waiting for Queued {
    fn cost(&self) -> usize {
        self.wanted.len()
    }

    fn since(&self) -> Moment {
        self.since
    }

    fn refuse(self) {
        let _ = self.reply.send(Err(overloaded())); // Fails if the call was dropped.
    }
}

/// What a call does with its read.
pub(super) enum Entered {
    /// It sends the read itself.
    Single(Single<Queued>, Wanted),
    /// It waits for the reply. If there is a batch task, the call spawns it.
    Queued { reply: oneshot::Receiver<Result<Values>>, batch_task: Option<BatchTask> },
    /// The queue is full.
    Refused,
}

impl ReadQueue {
    pub(super) fn new() -> Self {
        Self { queue: Arc::new(BatchQueue::new(LIMITS)), mean_size: AtomicUsize::new(0) }
    }

    /// Returns `true` if something but the caller refers to the queue, such as a read on its way.
    pub(super) fn is_used(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 || Arc::strong_count(&self.queue) > 1
    }

    /// Decides how these keys are read, and queues them if not by the call itself.
    pub(super) fn enter(self: &Arc<Self>, wanted: Wanted) -> Entered {
        let mut receiver = None;
        let queued = |wanted| {
            let (reply, waiting) = oneshot::channel();
            receiver = Some(waiting);
            Queued { wanted, since: Moment::now(), reply }
        };
        let cost = wanted.len();
        match self.queue.enter(wanted, cost, self.max_batch_keys(), queued) {
            batch_queue::Entered::Single(place, wanted) => Entered::Single(place, wanted),
            batch_queue::Entered::Queued(task) => match receiver {
                Some(reply) => {
                    let batch_task = task.map(|task| BatchTask { task, queue: Arc::clone(self) });
                    Entered::Queued { reply, batch_task }
                }
                None => Entered::Refused,
            },
            batch_queue::Entered::Refused => Entered::Refused,
        }
    }

    /// Takes the reads of one batch from the queue.
    fn take(&self, queue: &mut VecDeque<Queued>) -> Vec<Queued> {
        let max_keys = self.max_batch_keys();
        if max_keys <= MAX_LARGE_KEYS {
            return take_large(queue, max_keys);
        }
        let count = count_within(queue, max_keys);
        queue.drain(..count).collect()
    }

    /// Returns how many keys a batch may have, so that its values do not exceed [`MAX_BATCH_BYTES`].
    fn max_batch_keys(&self) -> usize {
        (MAX_BATCH_BYTES / self.mean_size.load(Ordering::Relaxed).max(1)).min(MAX_BATCH_KEYS)
    }
}

/// Takes the calls that want one of the first `max_keys` different keys of the queue, or its first key if that is 0. The search
/// for them costs less than a second transfer of a large value.
fn take_large(queue: &mut VecDeque<Queued>, max_keys: usize) -> Vec<Queued> {
    let mut keys: Vec<Option<Key>> = Vec::new();
    let mut taken = Vec::new();
    let mut left = VecDeque::new();
    for queued in queue.drain(..) {
        let key = &queued.wanted.first;
        let is_known = key.is_some() && keys.contains(key);
        if !is_known && keys.len() >= max_keys.max(1) {
            left.push_back(queued);
            continue;
        }
        if !is_known {
            keys.push(key.clone());
        }
        taken.push(queued);
    }
    *queue = left;
    taken
}

/// Returns how many of the first calls have at most so many keys together; at least 1.
fn count_within(queue: &VecDeque<Queued>, max_keys: usize) -> usize {
    let mut keys = 0;
    let mut common: &[Key] = &[];
    for (index, Queued { wanted, .. }) in queue.iter().enumerate() {
        keys += wanted.len();
        // Calls of one function read the same generations, which a batch reads once.
        if std::ptr::eq(common, &raw const *wanted.common) {
            keys -= wanted.common.len();
        }
        common = &wanted.common;
        if keys > max_keys {
            return index.max(1);
        }
    }
    queue.len()
}

/// The place of a batch task.
pub(super) struct BatchTask {
    task: batch_queue::BatchTask<Queued>,
    queue: Arc<ReadQueue>,
}

impl BatchTask {
    /// As [`batch_queue::BatchTask::next`].
    pub(super) async fn next(&mut self, max_wait: Duration) -> Option<Vec<Queued>> {
        self.task.next(max_wait, |queue| self.queue.take(queue)).await
    }

    /// Records the sizes of the values of a batch.
    pub(super) fn record(&self, values: &[Option<Bytes>]) {
        if values.is_empty() {
            return;
        }
        let mean = values.iter().flatten().map(Bytes::len).sum::<usize>() / values.len();
        let before = self.queue.mean_size.load(Ordering::Relaxed);
        // Grows at once and shrinks slowly, so that one small batch does not make the next one large.
        self.queue.mean_size.store(mean.max(before - before / 8), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::reads::CommonKeys;

    fn queued(name: &str) -> Queued {
        let first = Some(Key::from_bytes("queue", name.as_bytes()));
        let wanted = Wanted { first, common: CommonKeys::OfNamespace(&[]), last: None, largest_bytes: 0 };
        Queued { wanted, since: Moment::now(), reply: oneshot::channel().0 }
    }

    #[test]
    fn all_calls_that_want_a_large_value_are_taken_with_the_first() {
        let mut queue: VecDeque<_> = ["a", "b", "a", "c", "b", "a"].map(queued).into();
        for (max_keys, count) in [(0, 3), (2, 3)] {
            assert_eq!(take_large(&mut queue, max_keys).len(), count);
        }
        assert!(queue.is_empty());
    }
}
