//! Leases that are to be given back: those whose holder is gone, and those that may have been granted although the
//! answer of the store was late or lost.
//!
//! One task of a namespace gives them back. The store may fail for a while, so it tries again until the lease has expired
//! by itself. The queue is bounded; what does not fit expires.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::namespace::Namespace;
use super::shutdown::RegisteredLease;
use crate::util::{join_all, limits};
use crate::{Key, LastAttempt, Lease};

/// The leases of one namespace that are to be given back.
#[derive(Debug, Default)]
pub(crate) struct ReturnedLeases {
    queue: Mutex<BinaryHeap<Returned>>,
    has_task: AtomicBool,
    /// Notified when a lease was queued: it may be due before the one that the task waits for.
    queued: Notify,
}

/// A lease that is to be given back.
#[derive(Debug)]
struct Returned {
    key: Key,
    lease: RegisteredLease,
    attempt: LastAttempt,
    grant: Grant,
    /// When to release it.
    due: Instant,
    /// How often it was tried.
    tries: usize,
    /// From then on the lease has expired.
    expires: Instant,
}

/// What is known about a lease that is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// It was granted.
    Known,
    /// Its request was sent, and may still be on its way to the server, on another connection. So the lease is released
    /// twice.
    Possible,
}

/// The maximum number of leases of a namespace that wait to be given back.
const MAX_QUEUED: usize = 100_000;
/// How many leases are released at the same time.
const BATCH: usize = 64;
/// The pauses between the attempts to release a lease that the store did not confirm, in milliseconds; the last one is
/// repeated.
const PAUSES: [u64; 7] = [50, 100, 200, 400, 800, 1_600, 3_200];
/// The pause before a lease that may still be granted is released for the second time.
const SECOND_RELEASE: Duration = Duration::from_secs(1);

impl Namespace {
    /// Gives a lease back in the background.
    pub(crate) fn give_back(&'static self, key: Key, lease: Lease, attempt: LastAttempt, grant: Grant) {
        let due = Instant::now();
        let lease = RegisteredLease::new(self, key.clone(), lease);
        let expires = due + limits::LEASE_TERM.time();
        self.returned_leases.push(Returned { key, lease, attempt, grant, due, tries: 0, expires });
        self.start_returning();
    }

    /// Spawns a task that gives leases back until none is left, unless one is running.
    ///
    /// If its runtime shuts down first, the next call that requests a lease starts another.
    pub(super) fn start_returning(&'static self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(task) = self.returned_leases.task() else { return };
        runtime.spawn(async move {
            let mut task = Some(task);
            while task.is_some() {
                match self.returned_leases.next_batch() {
                    Next::Batch(batch) => self.release_all(batch).await,
                    Next::Pause(until) => {
                        let _ = timeout_at(until, self.returned_leases.queued.notified()).await;
                    }
                    Next::Nothing => {
                        drop(task.take());
                        // A lease queued before that line found a task and started none.
                        task = self.returned_leases.task();
                    }
                }
            }
        });
    }

    /// Releases leases; those that have to be released again are queued.
    async fn release_all(&'static self, batch: Vec<InRelease>) {
        let release = async |mut taken: InRelease| {
            let Some(returned) = &taken.returned else { return };
            let (key, lease, attempt) = (&returned.key, returned.lease.lease(), returned.attempt);
            let released = self.with_deadline(|store| store.release(key, lease, attempt)).await;
            taken.returned = taken.returned.take().and_then(|returned| returned.again(released.is_ok()));
        };
        join_all(batch.into_iter().map(release)).await;
    }
}

/// A lease that the store has been asked to grant or to end. It is given back if this is dropped before the answer is
/// known, as at the end of the runtime.
pub(super) struct UnansweredLease {
    namespace: &'static Namespace,
    key: Key,
    /// `None` once the answer is known.
    lease: Option<Lease>,
    attempt: LastAttempt,
    grant: Grant,
}

impl UnansweredLease {
    pub(super) fn new(
        namespace: &'static Namespace,
        key: &Key,
        lease: Lease,
        attempt: LastAttempt,
        grant: Grant,
    ) -> Self {
        Self { namespace, key: key.clone(), lease: Some(lease), attempt, grant }
    }

    /// The answer is known.
    pub(super) fn answered(mut self) {
        self.lease = None;
    }
}

impl Drop for UnansweredLease {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.namespace.give_back(self.key.clone(), lease, self.attempt, self.grant);
        }
    }
}

impl Returned {
    /// Returns what is to be released again.
    fn again(mut self, is_released: bool) -> Option<Self> {
        let pause = match (is_released, self.grant) {
            (true, Grant::Known) => return None,
            (true, Grant::Possible) => {
                self.grant = Grant::Known;
                SECOND_RELEASE
            }
            (false, _) => Duration::from_millis(PAUSES[self.tries.min(PAUSES.len() - 1)]),
        };
        self.tries += 1;
        self.due = Instant::now() + pause;
        (self.due < self.expires).then_some(self)
    }
}

/// What a task that gives leases back does next.
enum Next {
    Batch(Vec<InRelease>),
    Pause(Instant),
    Nothing,
}

impl ReturnedLeases {
    fn push(&self, returned: Returned) {
        let mut queue = self.lock();
        if queue.len() < MAX_QUEUED {
            queue.push(returned);
            drop(queue);
            self.queued.notify_one();
        }
    }

    fn next_batch(&'static self) -> Next {
        let (mut queue, now) = (self.lock(), Instant::now());
        let mut batch = Vec::new();
        while batch.len() < BATCH && queue.peek().is_some_and(|first| first.due <= now) {
            batch.extend(queue.pop().map(|returned| InRelease { queue: self, returned: Some(returned) }));
        }
        match queue.peek() {
            _ if !batch.is_empty() => Next::Batch(batch),
            Some(first) => Next::Pause(first.due),
            None => Next::Nothing,
        }
    }

    /// Returns the right to give leases back, if there are any and no other task has the right.
    fn task(&'static self) -> Option<Task> {
        let is_free = !self.lock().is_empty() && !self.has_task.swap(true, Ordering::AcqRel);
        // Lazily: dropping the right returns it, which another task may have.
        is_free.then(|| Task(self))
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Returned>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease that is being released. What is left of it when this is dropped is queued again, also at the end of the runtime.
struct InRelease {
    queue: &'static ReturnedLeases,
    returned: Option<Returned>,
}

impl Drop for InRelease {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take() {
            self.queue.push(returned);
        }
    }
}

/// The right to give leases back; returned on drop, also when a runtime drops the task that has it.
struct Task(&'static ReturnedLeases);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.has_task.store(false, Ordering::Release);
    }
}

/// The lease that is due first is the greatest.
impl Ord for Returned {
    fn cmp(&self, other: &Self) -> Order {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Returned {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Returned {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Returned {}
