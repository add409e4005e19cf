//! The reads of one runtime that wait to be sent, and how many are in flight.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::{Queued, Values, Wanted, overloaded};
use crate::util::Moment;
use crate::{Key, Result};

/// The reads of one runtime.
#[derive(Debug, Default)]
pub(super) struct ReadQueue {
    state: Mutex<State>,
    /// The mean size of a value that a batch has read, in bytes.
    mean_size: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// How many calls have sent their reads themselves, and wait for the reply.
    singles: usize,
    /// How many batch tasks there are.
    batch_tasks: usize,
    queue: VecDeque<Queued>,
    /// The number of keys in the queue.
    queued_keys: usize,
}

/// How many reads calls send themselves before others are queued.
const MAX_SINGLES: usize = 2;
/// How many batch tasks there are at most. There is more than one only if a batch is full.
const MAX_BATCH_TASKS: usize = 4;
/// The maximum number of keys of a batch.
const MAX_BATCH_KEYS: usize = 1_024;
/// The size of the values of a batch, in bytes, if they have the mean size of the last ones.
pub(super) const MAX_BATCH_BYTES: usize = 1 << 20;
/// If at most so many keys fit into a batch, it answers all calls that want one of them, wherever they are in the queue.
const MAX_LARGE_KEYS: usize = 16;
/// How many keys wait to be sent at most.
const MAX_QUEUED_KEYS: usize = 200_000;

/// What a call does with its read.
pub(super) enum Entered {
    /// It sends the read itself.
    Single(Single, Wanted),
    /// It waits for the reply. If there is a batch task, the call spawns it.
    Queued { reply: oneshot::Receiver<Result<Values>>, batch_task: Option<BatchTask> },
    /// The queue is full.
    Refused,
}

impl ReadQueue {
    /// Decides how these keys are read, and queues them if not by the call itself.
    pub(super) fn enter(self: &Arc<Self>, wanted: Wanted) -> Entered {
        let mut state = self.lock();
        if state.batch_tasks == 0 && state.singles < MAX_SINGLES && state.queue.is_empty() {
            state.singles += 1;
            drop(state);
            return Entered::Single(Single(Arc::clone(self)), wanted);
        }
        if state.queued_keys + wanted.len() > MAX_QUEUED_KEYS {
            return Entered::Refused;
        }
        let (sender, reply) = oneshot::channel();
        state.queued_keys += wanted.len();
        state.queue.push_back(Queued { wanted, since: Moment::now(), reply: sender });
        let is_needed = state.batch_tasks == 0
            || (state.batch_tasks < MAX_BATCH_TASKS && state.queued_keys >= self.max_batch_keys());
        let batch_task = is_needed.then(|| {
            state.batch_tasks += 1;
            BatchTask(Some(Arc::clone(self)))
        });
        drop(state);
        Entered::Queued { reply, batch_task }
    }

    /// Takes the reads of one batch from the queue. If it is empty, a batch task ends.
    fn take_or_end(&self) -> Vec<Queued> {
        let max_keys = self.max_batch_keys();
        let mut state = self.lock();
        if state.queue.is_empty() {
            state.batch_tasks -= 1;
            return Vec::new();
        }
        let taken: Vec<_> = if max_keys <= MAX_LARGE_KEYS {
            take_large(&mut state.queue, max_keys)
        } else {
            let count = count_within(&state.queue, max_keys);
            state.queue.drain(..count).collect()
        };
        state.queued_keys -= taken.iter().map(|queued| queued.wanted.len()).sum::<usize>();
        taken
    }

    /// Returns how many keys a batch may have, so that its values do not exceed [`MAX_BATCH_BYTES`].
    fn max_batch_keys(&self) -> usize {
        (MAX_BATCH_BYTES / self.mean_size.load(Ordering::Relaxed).max(1)).min(MAX_BATCH_KEYS)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// The place of a call that has sent its read itself.
pub(super) struct Single(Arc<ReadQueue>);

impl Drop for Single {
    fn drop(&mut self) {
        self.0.lock().singles -= 1;
    }
}

/// The place of a batch task; `None` once it has ended. If the runtime drops the last one, what is queued is rejected.
pub(super) struct BatchTask(Option<Arc<ReadQueue>>);

impl BatchTask {
    /// Returns the reads of the next batch; `None` if the task ends, because nothing is queued.
    ///
    /// Reads that have waited for longer than `max_wait` are refused.
    pub(super) async fn next(&mut self, max_wait: Duration) -> Option<Vec<Queued>> {
        // Calls that have just been answered may read again at once.
        yield_now().await;
        let taken = self.0.as_ref()?.take_or_end();
        if taken.is_empty() {
            self.0 = None;
            return None;
        }
        let latest = Moment::now().before(max_wait);
        // The first has waited for longest.
        if taken.first().is_none_or(|first| first.since >= latest) {
            return Some(taken);
        }
        let (taken, late): (Vec<_>, Vec<_>) = taken.into_iter().partition(|queued| queued.since >= latest);
        for queued in late {
            let _ = queued.reply.send(Err(overloaded())); // Fails if the call was dropped.
        }
        Some(taken)
    }

    /// Records the sizes of the values of a batch.
    pub(super) fn record(&self, values: &[Option<Bytes>]) {
        let (Some(queue), false) = (&self.0, values.is_empty()) else { return };
        let mean = values.iter().flatten().map(Bytes::len).sum::<usize>() / values.len();
        let before = queue.mean_size.load(Ordering::Relaxed);
        // Grows at once and shrinks slowly, so that one small batch does not make the next one large.
        queue.mean_size.store(mean.max(before - before / 8), Ordering::Relaxed);
    }
}

impl Drop for BatchTask {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else { return };
        let mut state = queue.lock();
        state.batch_tasks -= 1;
        if state.batch_tasks == 0 {
            state.queued_keys = 0;
            let rejected = std::mem::take(&mut state.queue);
            drop(state);
            drop(rejected); // Wakes the calls, outside of the lock.
        }
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
