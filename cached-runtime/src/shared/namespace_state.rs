//! What this process knows of the changes of one namespace in one store. Functions with one `name` share it.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use super::changes::Changes;
use super::namespace::Namespace;
use super::pending::PendingInvalidations;
use super::put_turns::PutTurns;
use super::shutdown;
use crate::policy::IsolationId;
use crate::{Result, Store};

/// The state of a namespace.
#[derive(Debug, Default)]
pub(crate) struct NamespaceState {
    pub(crate) pending: PendingInvalidations,
    pub(super) changes: Changes,
    pub(super) put_turns: PutTurns,
    /// Held while a pending invalidation is retried.
    pub(super) retry_lock: tokio::sync::Mutex<()>,
    /// See [`registered`](Self::registered).
    registered: OnceLock<&'static Namespace>,
}

/// The identity of a store, or `None` if its settings are wrong, and the name of a namespace in it.
type Id = (Option<(TypeId, usize)>, String, IsolationId);

impl NamespaceState {
    /// Returns the state of a namespace, which is the same for equal stores.
    pub(super) fn of(store: &Result<Arc<dyn Store>>, name: &str) -> &'static Self {
        static ALL: LazyLock<Mutex<HashMap<Id, &'static NamespaceState>>> = LazyLock::new(Mutex::default);
        let store = store.as_ref().ok().map(Store::identity);
        let id = (store, name.to_owned(), IsolationId::current());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        // Leaked, which is bounded: there is one for each name of the program, and of each isolation.
        all.entry(id).or_insert_with(|| Box::leak(Box::default()))
    }

    /// Returns the namespace that has been registered for what is pending: the health of its store shows it, and the shutdown of
    /// the process retries it. The first one is registered.
    pub(super) fn registered(&self, namespace: impl FnOnce() -> &'static Namespace) -> &'static Namespace {
        self.registered.get_or_init(|| {
            let namespace = namespace();
            namespace.report_pending();
            shutdown::register_for_shutdown(namespace);
            namespace
        })
    }
}
