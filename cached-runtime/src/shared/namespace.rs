//! One namespace in one shared store: access within a deadline.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::failure_log::{FailureLog, OperationClass};
use super::health::Health;
use super::namespace_state::NamespaceState;
use super::observed_store::{Begun, ObservedStore, Operation};
use super::reads::Reads;
use super::returned_leases::ReturnedLeases;
use super::value_sizes::ValueSizes;
#[cfg(feature = "test-util")]
use super::written_keys::WrittenKeys;
use crate::policy::{Counters, IsolationId, Policy, own_name};
use crate::store::Placement;
use crate::{Error, ErrorKind, Key, Result, Store};

/// The part of a shared tier that does not depend on the types of the function.
///
/// The tags of a store are a namespace too; see [`TAGS`].
pub(crate) struct Namespace {
    pub(crate) store: Result<Arc<dyn Store>>,
    pub(crate) name: String,
    pub(super) is_of_tags: bool,
    /// The key of the generation; a clear replaces it.
    pub(crate) generation_key: Key,
    /// `None` if the settings of the store are wrong.
    health: Option<&'static Health>,
    /// The reads of the store, once there was one.
    reads: OnceLock<&'static Reads>,
    pub(crate) counters: &'static Counters,
    /// Of the future in which the namespace was first used.
    pub(crate) isolation: IsolationId,
    /// What was written in an isolation.
    #[cfg(feature = "test-util")]
    written: Option<Arc<WrittenKeys>>,
    pub(super) sizes: ValueSizes,
    pub(super) size_question: SizeQuestion,
    failures: FailureLog,
    /// Whether an uncacheable key or an undecodable value was logged.
    has_reported: AtomicBool,
    /// Whether an expired lease was logged.
    has_reported_expiry: AtomicBool,
    pub(crate) state: &'static NamespaceState,
    pub(crate) returned_leases: ReturnedLeases,
}

/// The question for the size of a value, of one call at a time.
#[derive(Default)]
pub(super) struct SizeQuestion {
    pub(super) lock: tokio::sync::Mutex<()>,
    /// How often the store was asked; a question without an answer counts as several.
    pub(super) asked: AtomicUsize,
}

/// The name of the namespace of the tags in every store. It has no version, unlike the namespace of a function.
const TAGS: &str = "tags";

impl Namespace {
    /// Creates the namespace of the tags in a store.
    pub(super) fn of_tags(store: Result<Arc<dyn Store>>, counters: &'static Counters) -> Self {
        Self { is_of_tags: true, ..Self::new(store, own_name(TAGS), counters) }
    }

    pub(crate) fn new(store: Result<Arc<dyn Store>>, name: String, counters: &'static Counters) -> Self {
        let generation_key = Key::from_bytes(&format!("{name}.generation"), &[]);
        let health = store.as_ref().ok().map(Health::of);
        let state = NamespaceState::of(&store, &name);
        #[cfg(feature = "test-util")]
        let written = store.as_ref().ok().and_then(WrittenKeys::of_current_isolation);
        Self {
            store,
            health,
            name,
            is_of_tags: false,
            generation_key,
            reads: OnceLock::new(),
            counters,
            isolation: IsolationId::current(),
            #[cfg(feature = "test-util")]
            written,
            sizes: ValueSizes::default(),
            size_question: SizeQuestion::default(),
            failures: FailureLog::default(),
            has_reported: AtomicBool::new(false),
            has_reported_expiry: AtomicBool::new(false),
            state,
            returned_leases: ReturnedLeases::default(),
        }
    }

    /// Shows the pending invalidations in the health of the store: for a namespace that stays.
    pub(super) fn report_pending(&self) {
        if let Some(health) = self.health.filter(|_| self.isolation.is_none()) {
            health.add_pending(self.state.pending.number());
        }
    }

    /// Returns the store that a policy selects.
    pub(crate) fn store_of(policy: &Policy) -> Result<Arc<dyn Store>> {
        match &policy.placement {
            Placement::Store(store) => store.clone(),
            // Not reached: only a policy with a store has a shared tier.
            Placement::Memory | Placement::Off => {
                Err(Error::new(ErrorKind::Config, "memory is not a shared store"))
            }
        }
    }

    /// Runs one store operation, for at most its [`time_limit`](Store::time_limit); a failure is counted and logged.
    pub(crate) async fn with_deadline<'a, 'k, T>(
        &'a self,
        begin: impl FnOnce(ObservedStore<'a>) -> Begun<'k, T>,
    ) -> Result<T> {
        let store = &**self.configured_store()?;
        // A call outside of a runtime would have read first.
        let mut operation = Operation::Get;
        let bounded = async {
            if tokio::runtime::Handle::try_current().is_err() {
                return Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime"));
            }
            let started = begin(ObservedStore {
                store,
                #[cfg(feature = "test-util")]
                written: self.written.as_deref(),
            });
            operation = started.operation;
            let result = within(store.time_limit(), started.result);
            match self.health {
                Some(health) => health.observe(operation, result).await,
                None => result.await,
            }
        };
        let result = bounded.await;
        self.observe(operation, &result);
        result
    }

    /// Returns the combined reads of the store.
    pub(super) fn reads(&self) -> Result<&'static Reads> {
        let store = self.configured_store()?;
        Ok(self.reads.get_or_init(|| Reads::of(store)))
    }

    /// Returns `true`, and counts the failure, if a read would fail because there is no connection. So a call costs nearly
    /// nothing while a server is down.
    ///
    /// A failure that is to be logged is left to the read.
    pub(crate) fn is_known_down(&self) -> bool {
        // That the last operation succeeded is found out faster than the state of the connection.
        let is_known_down = self.health.is_some_and(|health| !health.is_up())
            && matches!(&self.store, Ok(store) if store.is_known_down())
            && self.failures.suppress(OperationClass::Read);
        if is_known_down {
            self.counters.store_errors.add(1);
        }
        is_known_down
    }

    pub(super) fn configured_store(&self) -> Result<&Arc<dyn Store>> {
        self.store.as_ref().map_err(|error| {
            self.counters.store_errors.add(1); // The configuration has logged it.
            error.clone()
        })
    }

    /// Counts and logs the outcome of an operation.
    pub(super) fn observe<T>(&self, operation: Operation, result: &Result<T>) {
        match result {
            Ok(_) if self.failures.success(operation.class()) => {
                tracing::info!(
                    namespace = %self.name,
                    operation = operation.name(),
                    "the shared store works again; calls use it from now on"
                );
            }
            Ok(_) => {}
            Err(error) if error.is_too_large() => self.report_uncacheable(error),
            Err(error) => self.report_failure(operation, error),
        }
    }

    /// Counts a key or a value that cannot be stored, and logs the first one.
    pub(crate) fn report_uncacheable(&self, error: &Error) {
        self.counters.store_errors.add(1);
        if !self.has_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = %self.name,
                ?error,
                "a key or value cannot be stored in the shared store; calls with it compute each time. Change what the \
                 error names, or cache in memory; further cases are counted in `store_errors`, not logged"
            );
        }
    }

    /// Counts a result that was not stored because its lease had expired, or was taken from a computation that nobody
    /// polled, and logs the first one.
    pub(super) fn report_expired_lease(&self) {
        self.counters.expired_leases.add(1);
        if !self.has_reported_expiry.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = %self.name,
                "a result was not stored because its lease had expired: this process stalled, its runtime had no worker \
                 free, or nobody polled the call, for too long. Move blocking work to `spawn_blocking`, or raise the term by \
                 `configure().lease(…)`; further cases are counted in `expired_leases`, not logged"
            );
        }
    }

    /// Logs the first value of the current type that cannot be decoded.
    pub(crate) fn report_undecodable(&self) {
        if !self.has_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = %self.name,
                "a stored value of the current type cannot be decoded; calls for it compute each time. Check that \
                 `Deserialize` reads what `Serialize` writes, or use another `codec`; further cases are counted in \
                 `undecodable`, not logged"
            );
        }
    }

    /// Counts a failed operation, and logs it unless a failure of this class was logged shortly before.
    fn report_failure(&self, operation: Operation, error: &Error) {
        if error.kind() == ErrorKind::Overloaded {
            return self.report_overload();
        }
        self.counters.store_errors.add(1);
        let Some(suppressed) = self.failures.failure(operation.class()) else { return };
        let advice = match error.kind() {
            ErrorKind::Rejected => {
                "check its role, its memory limit, and the permissions of the user that this process connects as"
            }
            ErrorKind::Unreachable | ErrorKind::Timeout => "check the server, the network and the deadline",
            ErrorKind::Config => "correct the setting that the error names",
            ErrorKind::Overloaded
            | ErrorKind::Protocol
            | ErrorKind::TooLarge
            | ErrorKind::Codec
            | ErrorKind::Shared => "check that the server is one of the supported ones",
        };
        tracing::warn!(
            namespace = %self.name,
            operation = operation.name(),
            suppressed,
            ?error,
            "an operation of the shared store failed; calls continue without the store while it fails: {advice}. Every \
             failure is counted in `store_errors`, and at most one in ten seconds is logged"
        );
    }

    /// Counts an operation that was not sent, and logs it unless one was logged shortly before.
    fn report_overload(&self) {
        self.counters.overloaded.add(1);
        let Some(suppressed) = self.failures.failure(OperationClass::Overload) else { return };
        tracing::warn!(
            namespace = %self.name,
            suppressed,
            "an operation of the shared store was not sent, because too many others wait for the store; its call continues \
             without it: check the load of this process, of the network and of the server. Each one is counted in \
             `overloaded`, and at most one in ten seconds is logged"
        );
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Runs one operation within the time limit of its store.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    operation: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = limit else { return operation.await };
    match tokio::time::timeout(limit, operation).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Timeout, "the store did not answer in time")),
    }
}

/// Runs a future in a task of its own, so that it completes even if the caller is dropped.
///
/// Returns `None` without a tokio runtime, or if the runtime shuts down first. The task is short-lived, because every
/// store operation has a deadline.
pub(crate) async fn run_detached<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    tokio::runtime::Handle::try_current().ok()?.spawn(future).await.ok()
}
