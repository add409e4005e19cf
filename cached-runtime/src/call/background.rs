//! The tasks that compute in the background, without a caller that waits.
//!
//! A task runs in the tokio runtime of the call that submits it, and ends with that runtime. The number of tasks is
//! bounded, but an instance of a function always has [`OWN_PLACES`]. So a function whose bodies hang does
//! not keep another from refreshing. A refresh that finds no place waits in the queue of
//! its instance, first in first out, so that every key has its turn; a key waits there once.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::DefaultHashBuilder;
use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};

use super::backoff::Backoff;
use crate::BoxFuture;
use crate::policy::Counters;
use crate::util::{end_of_process, limits};

/// The number of refreshes that each instance of a function can run whatever others do.
const OWN_PLACES: usize = 16;
/// The maximum number of refreshes of one instance that wait for a place; a later call for a further key tries again.
const MAX_QUEUED: usize = 1_024;

/// The number of refreshes that run.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of refreshes that run.
pub(super) fn running() -> usize {
    RUNNING.load(Ordering::Acquire)
}

/// The background refreshes of one instance of a function.
#[derive(Default)]
pub(crate) struct BackgroundQueue(Mutex<State>);

#[derive(Default)]
struct State {
    /// The hashes of the keys that are being refreshed or are queued.
    keys: HashSet<u64, DefaultHashBuilder>,
    queued: VecDeque<Queued>,
    /// How many refreshes run.
    running: usize,
    /// Whether a thread is starting queued refreshes; others leave it to that thread.
    is_starting: bool,
}

/// A refresh that is to be run: in which queue, and for how long at most.
pub(crate) struct Turn {
    queue: &'static BackgroundQueue,
    /// The hash of the key.
    key: u64,
    time_limit: Duration,
    counters: &'static Counters,
    backoff: &'static Backoff,
}

impl Turn {
    pub(crate) fn new(
        queue: &'static BackgroundQueue,
        key: u64,
        timeout: Option<Duration>,
        counters: &'static Counters,
        backoff: &'static Backoff,
    ) -> Self {
        let time_limit = timeout.unwrap_or_default().max(limits::BACKGROUND_TIMEOUT.time());
        Self { queue, key, time_limit, counters, backoff }
    }

    /// Runs the computation that `begin` returns, in the current tracing span: now, or when there is a place for it.
    ///
    /// Does nothing if the key is being refreshed or queued already, if the queue is full, if there is no tokio runtime
    /// here, if the process is about to end, or if `begin` returns `None`. A panic ends only the task.
    pub(crate) fn submit(self, begin: impl FnOnce() -> Option<BoxFuture<'static, ()>> + Send + 'static) {
        let Ok(runtime) = Handle::try_current() else { return };
        if end_of_process::has_begun() {
            return;
        }
        let queue = self.queue;
        match queue.admit(self.key) {
            Admission::Place(place) => {
                if let Some(computation) = begin() {
                    self.spawn(place, &runtime, Span::current(), computation);
                }
            }
            Admission::Queue => {
                queue.push(Queued { turn: self, runtime, span: Span::current(), begin: Box::new(begin) });
                // A place may have become free since.
                queue.start_queued();
            }
            Admission::None => {}
        }
    }

    fn spawn(
        self,
        place: Place,
        runtime: &Handle,
        span: Span,
        computation: impl Future<Output = ()> + Send + 'static,
    ) {
        let bounded = async move {
            let _place = place;
            tokio::select! {
                biased;
                () = end_of_process::begun() => {}
                bounded = tokio::time::timeout(self.time_limit, computation) => {
                    if bounded.is_err() {
                        self.counters.errors.add(1);
                        self.backoff.record_failure(self.key);
                    }
                }
            }
        };
        runtime.spawn(bounded.instrument(span));
    }
}

/// A refresh that waits for a place.
struct Queued {
    turn: Turn,
    runtime: Handle,
    span: Span,
    begin: Box<dyn FnOnce() -> Option<BoxFuture<'static, ()>> + Send>,
}

/// What becomes of a refresh that is submitted.
enum Admission {
    /// It can begin.
    Place(Place),
    /// It has to wait.
    Queue,
    /// Its key is being refreshed or queued, or the queue is full.
    None,
}

impl BackgroundQueue {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn admit(&'static self, key: u64) -> Admission {
        let mut state = self.lock();
        if state.queued.len() >= MAX_QUEUED || !state.keys.insert(key) {
            return Admission::None;
        }
        // Those that wait come first.
        if state.queued.is_empty() && state.take_place() {
            Admission::Place(Place { queue: self, key })
        } else {
            Admission::Queue
        }
    }

    fn push(&self, queued: Queued) {
        self.lock().queued.push_back(queued);
    }

    /// Starts the refreshes for which there are places.
    ///
    /// A runtime that has shut down drops a task at once, and with it a place, which leads here again. Therefore one
    /// thread at a time starts refreshes, in a loop.
    fn start_queued(&'static self) {
        if std::mem::replace(&mut self.lock().is_starting, true) {
            return;
        }
        while let Some((queued, place)) = self.next() {
            let Queued { turn, runtime, span, begin } = queued;
            let computation = async move {
                if let Some(computation) = begin() {
                    computation.await;
                }
            };
            turn.spawn(place, &runtime, span, computation);
        }
    }

    /// Returns the next refresh that can start, for the thread that starts them; if there is none, another thread may be
    /// the one from now on.
    fn next(&'static self) -> Option<(Queued, Place)> {
        let mut state = self.lock();
        let has_place = !state.queued.is_empty() && state.take_place();
        let next = if has_place { state.queued.pop_front() } else { None };
        state.is_starting = next.is_some();
        let queued = next?;
        let place = Place { queue: self, key: queued.turn.key };
        Some((queued, place))
    }

    /// Locks the state. A panic under the lock is not possible: it runs no user code.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BackgroundQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundQueue").finish_non_exhaustive()
    }
}

impl State {
    /// Takes a place, and returns `true` if there was one.
    fn take_place(&mut self) -> bool {
        let limit = limits::BACKGROUND_REFRESHES.number();
        let is_own = self.running < OWN_PLACES.min(limit);
        let free = |running| (is_own || running < limit).then_some(running + 1);
        let is_taken = RUNNING.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).is_ok();
        self.running += usize::from(is_taken);
        is_taken
    }
}

/// The right to run one refresh. Dropping it lets the next one start.
struct Place {
    queue: &'static BackgroundQueue,
    key: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.queue.lock();
            state.keys.remove(&self.key);
            state.running -= 1;
            RUNNING.fetch_sub(1, Ordering::AcqRel);
        }
        self.queue.start_queued();
    }
}
