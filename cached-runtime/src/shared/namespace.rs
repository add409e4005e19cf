//! One namespace in one shared store: access within a deadline.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::generations::ReadResult;
use super::pending::PendingInvalidations;
use super::reads::Reads;
use crate::policy::{Backend, Counters, Policy};
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::store;
use crate::{Error, ErrorKind, Key, Result, Store};

/// The part of a shared tier that does not depend on the types of the function.
///
/// The tags of a store are a namespace too; see [`TAGS`].
pub(crate) struct Namespace {
    pub(crate) store: Result<Arc<dyn Store>>,
    pub(crate) name: String,
    /// The key of the generation; a clear replaces it.
    pub(crate) generation_key: Key,
    pub(crate) reads: Reads<ReadResult>,
    pub(crate) counters: &'static Counters,
    /// Whether the last operation failed, so that an outage is logged once and not at each call.
    is_failing: AtomicBool,
    /// Whether an uncacheable key or an undecodable value was logged.
    has_reported: AtomicBool,
    pub(crate) pending: PendingInvalidations,
    /// Held while a pending invalidation is retried.
    pub(crate) retry_lock: tokio::sync::Mutex<()>,
}

/// The name of the namespace of the tags in every store. It has no version, unlike the namespace of a function.
pub(crate) const TAGS: &str = "tags";

/// How long one store operation may take: a backstop for stores that have no deadline of their own.
const DEADLINE: Duration = Duration::from_secs(1);

impl Namespace {
    pub(crate) fn new(store: Result<Arc<dyn Store>>, name: String, counters: &'static Counters) -> Self {
        let generation_key = Key::from_bytes(&format!("{name}.generation"), &[]);
        Self {
            store,
            name,
            generation_key,
            reads: Reads::new(),
            counters,
            is_failing: AtomicBool::new(false),
            has_reported: AtomicBool::new(false),
            pending: PendingInvalidations::default(),
            retry_lock: tokio::sync::Mutex::new(()),
        }
    }

    /// Returns the store that a policy selects.
    pub(crate) fn store_of(policy: &Policy) -> Result<Arc<dyn Store>> {
        match &policy.backend {
            // Not reached: only shared backends have a shared tier.
            Backend::Memory => Err(Error::new(ErrorKind::Config, "memory is not a shared store")),
            #[cfg(feature = "redis")]
            Backend::Redis => store::configured_redis(),
            #[cfg(feature = "memcached")]
            Backend::Memcached => store::configured_memcached(),
            Backend::Store(store) => Ok(Arc::clone(store)),
        }
    }

    /// Runs one store operation, for at most [`DEADLINE`]; a failure is counted and logged.
    pub(crate) async fn with_deadline<'a, T, F>(
        &'a self,
        operation: impl FnOnce(&'a dyn Store) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let store = match &self.store {
            Ok(store) => &**store,
            Err(error) => {
                self.counters.store_errors.add(1); // The configuration has logged it.
                return Err(error.clone());
            }
        };
        let bounded = async {
            if tokio::runtime::Handle::try_current().is_err() {
                return Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime"));
            }
            match tokio::time::timeout(DEADLINE, operation(store)).await {
                Ok(result) => result,
                Err(_) => Err(Error::new(ErrorKind::Timeout, "the store did not answer in time")),
            }
        };
        let result = bounded.await;
        match &result {
            Ok(_) if self.is_failing.load(Ordering::Relaxed) => {
                self.is_failing.store(false, Ordering::Relaxed);
                tracing::info!(namespace = %self.name, "the shared store works again; calls use it from now on");
            }
            Ok(_) => {}
            Err(error) => self.report_failure(error),
        }
        result
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

    /// Counts a failed operation, and logs the first one of an outage.
    fn report_failure(&self, error: &Error) {
        self.counters.store_errors.add(1);
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = %self.name,
                ?error,
                "a shared store operation failed; calls compute without the store while it fails. Check the server, the \
                 network and the configuration; further failures are counted in `store_errors`, not logged"
            );
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.name).finish_non_exhaustive()
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
