//! A shared store as it is asked: within a deadline, and with what is owed to it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::pending::PendingInvalidations;
use super::reads::Reads;
use crate::policy::Counters;
use crate::policy::{Backend, Policy};
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::store;
use crate::{Error, ErrorKind, Key, Result, Store};

/// What of a tier does not depend on the types of the function.
pub(crate) struct Namespace {
    pub(crate) store: Result<Arc<dyn Store>>,
    pub(crate) namespace: String,
    /// Where the stamp of the namespace is: values with another stamp were cleared.
    pub(crate) stamp: Key,
    pub(crate) looks: Reads<Loaded>,
    pub(crate) counters: &'static Counters,
    /// Whether the last operation failed, so that a broken store is reported once and not at each call.
    failing: AtomicBool,
    /// Whether it was reported that something can not be kept in a store at all.
    is_unfit: AtomicBool,
    pub(crate) owed: PendingInvalidations,
    /// Held by whoever repeats something that is owed.
    pub(crate) paying: tokio::sync::Mutex<()>,
}

/// What the store has under a key.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) value: Option<Bytes>,
    pub(crate) stamps: Box<[Option<u64>]>,
    /// Of the tags that are named in the value.
    pub(crate) named: Box<[Option<u64>]>,
}

/// The namespace of the tags in every store; that of a function has a version behind its name.
pub(crate) const TAGS: &str = "tags";

/// A net below the deadlines that stores have themselves, for stores of users that have none.
const DEADLINE: Duration = Duration::from_secs(1);

impl Namespace {
    pub(crate) fn new(store: Result<Arc<dyn Store>>, namespace: String, counters: &'static Counters) -> Self {
        let stamp = Key::from_bytes(&format!("{namespace}.generation"), &[]);
        Self {
            store,
            namespace,
            stamp,
            looks: Reads::new(),
            counters,
            failing: AtomicBool::new(false),
            is_unfit: AtomicBool::new(false),
            owed: PendingInvalidations::default(),
            paying: tokio::sync::Mutex::new(()),
        }
    }

    /// The store that a policy names.
    pub(crate) fn store_of(policy: &Policy) -> Result<Arc<dyn Store>> {
        match &policy.backend {
            // Not reached: only shared backends have a tier.
            Backend::Memory => Err(Error::new(ErrorKind::Config, "memory is not a shared store")),
            #[cfg(feature = "redis")]
            Backend::Redis => store::configured_redis(),
            #[cfg(feature = "memcached")]
            Backend::Memcached => store::configured_memcached(),
            Backend::Store(store) => Ok(Arc::clone(store)),
        }
    }

    /// Asks the store something, for a bounded time.
    pub(crate) async fn bounded<'a, T, F>(&'a self, ask: impl FnOnce(&'a dyn Store) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let asked = async {
            let store = self.store.as_deref().map_err(Error::clone)?;
            if tokio::runtime::Handle::try_current().is_err() {
                return Err(Error::new(ErrorKind::Config, "a shared store needs a tokio runtime"));
            }
            match tokio::time::timeout(DEADLINE, ask(store)).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::new(ErrorKind::Timeout, "the store did not answer in time")),
            }
        };
        let answer = asked.await;
        match &answer {
            Ok(_) if self.failing.load(Ordering::Relaxed) => {
                self.failing.store(false, Ordering::Relaxed);
                tracing::info!(namespace = %self.namespace, "the store works again");
            }
            Ok(_) => {}
            Err(error) => self.failed(error),
        }
        answer
    }

    /// A key or a value that no store can be given.
    pub(crate) fn unfit(&self, error: &Error) {
        self.counters.store_errors.add(1);
        if !self.is_unfit.swap(true, Ordering::Relaxed) {
            tracing::warn!(namespace = %self.namespace, ?error, "this can not be kept in a store and is computed each time");
        }
    }

    /// A value that was written for this very type and can not be read as that.
    pub(crate) fn unreadable(&self) {
        if !self.is_unfit.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                namespace = %self.namespace,
                "a value does not come back from its codec and is computed each time; another `codec` may do"
            );
        }
    }

    fn failed(&self, error: &Error) {
        self.counters.store_errors.add(1);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(namespace = %self.namespace, ?error, "the store fails; calls go on without it");
        }
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Lets a step that must not be left half done go on when its caller is dropped; `None` if the runtime ends first.
///
/// What is asked of a store takes a bounded time, and so does the task.
pub(crate) async fn in_a_task<T: Send + 'static>(
    step: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    tokio::runtime::Handle::try_current().ok()?.spawn(step).await.ok()
}
