//! The health of the stores, as the operations of this process see it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::observed_store::Operation;
use crate::{Error, ErrorKind, Result, Store, measure, store};

/// How a store is, as the operations of this process see it; see [`health`].
///
/// A server that is down is no reason to take no requests: calls compute. Pending invalidations may be one, because until they
/// are confirmed, other processes may return the old values.
///
/// # Examples
///
/// ```
/// use cached_runtime::{ServerHealth, ServerState, health};
///
/// fn is_ready(servers: &[ServerHealth]) -> bool {
///     servers.iter().all(|server| server.state != ServerState::Down || server.pending_invalidations == 0)
/// }
///
/// assert!(is_ready(&health())); // No server is configured, and memory needs none.
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerHealth {
    /// What the attributes call the store: `shared`, `redis`, `memcached`, the name of a named store; for a store of your own,
    /// the beginning of its `Debug` output.
    pub name: String,
    /// What the last operation says about it: one that missed its deadline makes it `Down`, until the next one succeeds.
    pub state: ServerState,
    /// For how long it has been in this state.
    pub since: Duration,
    /// The last error of an operation, also if the store works again.
    pub last_error: Option<Error>,
    /// How long the last successful operation took; `None` before the first one.
    pub latency: Option<Duration>,
    /// How many invalidations the store has not confirmed yet.
    pub pending_invalidations: usize,
}

/// What the last operation says about a store.
///
/// Every operation counts, of any call: one missed deadline makes a store `Down`, and the next success `Up`. To tell an outage
/// from a slow reply, look at [`ServerHealth::since`] too. Values that are too large or cannot be encoded, and operations that
/// were not sent because too many others waited, change nothing.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::{ServerHealth, ServerState, health};
///
/// fn is_out(server: &ServerHealth) -> bool {
///     server.state == ServerState::Down && server.since > Duration::from_secs(10)
/// }
///
/// assert!(!health().iter().any(is_out));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerState {
    /// No operation has ended yet.
    Unused,
    /// The last operation succeeded.
    Up,
    /// The last operation failed, or the connection was found to be lost since.
    Down,
}

/// Returns the health of every store that is configured, or that a function has used in this process.
///
/// It asks no server: it returns what the last operations have seen, so a readiness probe can call it at any rate. Without
/// traffic, a server that hangs is not noticed, and one that was `Down` stays so although its connection is back: only an
/// operation makes it `Up`. [`connect`](crate::connect) is one. A cache in memory is not listed, because nothing can be wrong
/// with it.
///
/// # Examples
///
/// ```
/// use cached_runtime::health;
///
/// for server in health() {
///     println!("{}: {:?} for {:?}, {:?}", server.name, server.state, server.since, server.last_error);
/// }
/// # assert!(health().is_empty());
/// ```
#[must_use]
pub fn health() -> Vec<ServerHealth> {
    let mut servers: Vec<_> = store::servers_in_use()
        .map(|(name, store)| match store {
            Ok(store) => Health::of(store).report(name),
            Err(error) => ServerHealth {
                name,
                state: ServerState::Down,
                since: Duration::ZERO,
                last_error: Some(error.clone()),
                latency: None,
                pending_invalidations: 0,
            },
        })
        .collect();
    let configured: Vec<_> =
        store::servers_in_use().filter_map(|(_, store)| Some(store.as_ref().ok()?.identity())).collect();
    let all = all().clone();
    for health in all.into_iter().filter(|health| !configured.contains(&health.store.identity())) {
        let name: String = format!("{:?}", health.store).chars().take(60).collect();
        servers.push(health.report(name));
    }
    servers
}

/// What the operations of one store have seen.
pub(super) struct Health {
    store: Arc<dyn Store>,
    is_up: AtomicBool,
    /// Of the last operation that succeeded, in microseconds.
    latency: AtomicU64,
    last_change: Mutex<LastChange>,
    /// The numbers of pending invalidations, by namespace.
    pending: Mutex<Vec<Arc<AtomicUsize>>>,
}

/// The state of a store, when it changed last, and the last error.
struct LastChange {
    state: ServerState,
    since: Instant,
    last_error: Option<Error>,
}

impl Health {
    /// Returns the health of a store, which is the same for all functions with that store.
    pub(super) fn of(store: &Arc<dyn Store>) -> &'static Self {
        let mut all = all();
        if let Some(health) = all.iter().find(|health| health.store.identity() == store.identity()) {
            return health;
        }
        // Leaked, which is bounded: there is one for each store of the program.
        let health: &'static Self = Box::leak(Box::new(Self {
            store: Arc::clone(store),
            is_up: AtomicBool::new(false),
            latency: AtomicU64::new(u64::MAX),
            last_change: Mutex::new(LastChange {
                state: ServerState::Unused,
                since: Instant::now(),
                last_error: None,
            }),
            pending: Mutex::default(),
        }));
        all.push(health);
        health
    }

    /// Returns `true` if the last operation, by any runtime, succeeded.
    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Counts the pending invalidations of a namespace as those of this store.
    pub(super) fn add_pending(&self, number: &Arc<AtomicUsize>) {
        let mut numbers = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        // Functions with one `name` have one number.
        if !numbers.iter().any(|known| Arc::ptr_eq(known, number)) {
            numbers.push(Arc::clone(number));
        }
    }

    /// Runs an operation of the store, and records its outcome and its duration.
    pub(super) async fn observe<T>(
        &self,
        operation: Operation,
        result: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        let result = result.await;
        let took = started.elapsed();
        measure::store_operation(operation.name(), result.is_ok(), took);
        match &result {
            Ok(_) => {
                let latency = u64::try_from(took.as_micros()).unwrap_or(u64::MAX - 1);
                self.latency.store(latency, Ordering::Relaxed);
                if !self.is_up() {
                    self.change(ServerState::Up, None);
                }
            }
            // These say nothing about the server.
            Err(error)
                if matches!(error.kind(), ErrorKind::Overloaded | ErrorKind::TooLarge | ErrorKind::Codec) => {
            }
            Err(error) => self.change(ServerState::Down, Some(error)),
        }
        result
    }

    fn change(&self, state: ServerState, error: Option<&Error>) {
        let mut last_change = self.last_change();
        if last_change.state != state {
            (last_change.state, last_change.since) = (state, Instant::now());
        }
        if let Some(error) = error {
            last_change.last_error = Some(error.clone());
        }
        self.is_up.store(state == ServerState::Up, Ordering::Relaxed);
    }

    fn report(&self, name: String) -> ServerHealth {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let pending_invalidations = pending.iter().map(|number| number.load(Ordering::Acquire)).sum();
        drop(pending);
        if self.store.is_known_down() {
            self.change(ServerState::Down, None);
        }
        let latency = self.latency.load(Ordering::Relaxed);
        let last_change = self.last_change();
        ServerHealth {
            name,
            state: last_change.state,
            since: last_change.since.elapsed(),
            last_error: last_change.last_error.clone(),
            latency: (latency != u64::MAX).then(|| Duration::from_micros(latency)),
            pending_invalidations,
        }
    }

    fn last_change(&self) -> MutexGuard<'_, LastChange> {
        self.last_change.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("store", &self.store).finish_non_exhaustive()
    }
}

fn all() -> MutexGuard<'static, Vec<&'static Health>> {
    static ALL: Mutex<Vec<&'static Health>> = Mutex::new(Vec::new());
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}
