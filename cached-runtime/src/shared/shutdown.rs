//! What is left to do in shared stores before the process ends: the writes on their way, the pending invalidations, and the
//! leases that it holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::ShutdownReport;
use super::namespace::Namespace;
use crate::util::{end_of_process, join_all, timer};
use crate::{Key, LastAttempt, Lease};

/// How many invalidations were flushed before the deadline, and how many were not.
#[derive(Debug, Clone, Copy, Default)]
struct Flushed {
    done: usize,
    left: usize,
}

/// Waits for the writes on their way, flushes pending invalidations and gives the leases back, until `end`.
///
/// Without a runtime that stays alive nothing can be sent, and everything is left.
pub(crate) async fn shut_down_stores(end: Instant) -> ShutdownReport {
    timer::in_task(|| shut_down(end)).await.unwrap_or_else(|| ShutdownReport {
        writes_left: WRITES.load(Ordering::Acquire),
        invalidations_left: pending(&lock(&NAMESPACES_WITH_PENDING)),
        leases_left: lock(&REGISTERED).len(),
        ..ShutdownReport::default()
    })
}

async fn shut_down(end: Instant) -> ShutdownReport {
    let (writes_left, invalidations, leases_returned) =
        tokio::join!(finish_writes(end), flush_invalidations(end), return_leases(end));
    ShutdownReport {
        refreshes_stopped: 0,
        writes_left,
        invalidations_flushed: invalidations.done,
        invalidations_left: invalidations.left,
        leases_returned,
        leases_left: lock(&REGISTERED).len(),
    }
}

/// Waits for the writes of this process; returns how many have not ended in time.
async fn finish_writes(end: Instant) -> usize {
    let _ = timer::timeout_at(end, writes_ended()).await;
    WRITES.load(Ordering::Acquire)
}

/// Waits until no write is on its way.
async fn writes_ended() {
    loop {
        let ended = WRITE_ENDED.notified();
        if WRITES.load(Ordering::Acquire) == 0 {
            return;
        }
        ended.await;
    }
}

/// Retries the pending invalidations of every namespace until the stores confirm them.
async fn flush_invalidations(end: Instant) -> Flushed {
    let namespaces = lock(&NAMESPACES_WITH_PENDING).clone();
    let before = pending(&namespaces);
    let flush = async |namespace: &&'static Namespace| {
        while let Some(flushed) = namespace.retry_some().await {
            if flushed.is_err() {
                timer::sleep(RETRY_PAUSE).await;
            }
        }
    };
    let _ = timer::timeout_at(end, join_all(namespaces.iter().map(flush))).await;
    let left = pending(&namespaces);
    Flushed { done: before.saturating_sub(left), left }
}

/// Returns the number of pending invalidations.
fn pending(namespaces: &[&'static Namespace]) -> usize {
    namespaces.iter().map(|namespace| namespace.state.pending.len()).sum()
}

/// Gives back the leases that this process holds, until the stores have confirmed all; returns how many.
///
/// A write that fails leaves its lease, so it ends after the writes.
async fn return_leases(end: Instant) -> usize {
    let returned = AtomicUsize::new(0);
    let returning = async {
        loop {
            release_registered(&returned).await;
            if !lock(&REGISTERED).is_empty() {
                timer::sleep(RETRY_PAUSE).await;
            } else if WRITES.load(Ordering::Acquire) > 0 {
                writes_ended().await;
            } else {
                return;
            }
        }
    };
    let _ = timer::timeout_at(end, returning).await;
    returned.into_inner()
}

/// Releases the leases that are registered now, and counts them; those of a namespace until its store fails.
async fn release_registered(returned: &AtomicUsize) {
    let mut held: Vec<_> = lock(&REGISTERED)
        .iter()
        .map(|(token, (namespace, key))| (Lease::new(*token), *namespace, key.clone()))
        .collect();
    held.sort_by_key(|(_, namespace, _)| std::ptr::from_ref(*namespace).addr());
    let release = async |(lease, namespace, key): &(Lease, &'static Namespace, Key)| {
        let released =
            namespace.with_deadline(|store| store.release(key, *lease, LastAttempt::Unknown)).await;
        if released.is_ok() && lock(&REGISTERED).remove(&lease.token()).is_some() {
            returned.fetch_add(1, Ordering::Relaxed);
        }
        released.is_ok()
    };
    let release_all = async |of_one_namespace: &[(Lease, &'static Namespace, Key)]| {
        for batch in of_one_namespace.chunks(BATCH) {
            if !join_all(batch.iter().map(&release)).await.contains(&true) {
                return;
            }
        }
    };
    let namespaces = held.chunk_by(|(_, one, _), (_, other, _)| std::ptr::eq(*one, *other));
    join_all(namespaces.map(release_all)).await;
}

/// The leases that this process holds, or is giving back, by their tokens.
static REGISTERED: LazyLock<Mutex<HashMap<u128, (&'static Namespace, Key)>>> = LazyLock::new(Mutex::default);

/// The namespaces that have had pending invalidations. There are no more of them than instances of functions.
static NAMESPACES_WITH_PENDING: Mutex<Vec<&'static Namespace>> = Mutex::new(Vec::new());

/// The number of writes on their way.
static WRITES: AtomicUsize = AtomicUsize::new(0);
/// Notified when a write has ended and [`shutdown`](crate::shutdown) may be waiting for it.
static WRITE_ENDED: Notify = Notify::const_new();

/// The maximum number of leases that are registered. Others expire.
const MAX_REGISTERED: usize = 100_000;
/// How many leases are released at the same time.
const BATCH: usize = 64;
/// The pause after what the store did not confirm: shorter than usual, as the process is about to end.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Registers a namespace that has its first pending invalidation.
pub(super) fn register_for_shutdown(namespace: &'static Namespace) {
    lock(&NAMESPACES_WITH_PENDING).push(namespace);
}

/// A write on its way, while this lives.
#[derive(Debug)]
pub(super) struct WriteInFlight(());

impl WriteInFlight {
    pub(super) fn new() -> Self {
        WRITES.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for WriteInFlight {
    fn drop(&mut self) {
        WRITES.fetch_sub(1, Ordering::AcqRel);
        if end_of_process::has_begun() {
            WRITE_ENDED.notify_waiters();
        }
    }
}

/// A lease that [`shutdown`](crate::shutdown) gives back while this lives.
#[derive(Debug)]
pub(super) struct RegisteredLease(Lease);

impl RegisteredLease {
    pub(super) fn new(namespace: &'static Namespace, key: Key, lease: Lease) -> Self {
        let mut registered = lock(&REGISTERED);
        if registered.len() < MAX_REGISTERED {
            registered.insert(lease.token(), (namespace, key));
        }
        Self(lease)
    }

    pub(super) const fn lease(&self) -> Lease {
        self.0
    }
}

impl Drop for RegisteredLease {
    fn drop(&mut self) {
        let removed = lock(&REGISTERED).remove(&self.0.token());
        drop(removed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
