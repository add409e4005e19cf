//! The conversion of the expression in `backend = EXPR` to a store.

use std::ops::Deref;
use std::sync::Arc;

use super::{NamedStore, Store};

/// The expression in `backend = EXPR`: `StoreExpr::new(&EXPR).to_arc()` accepts a pointer to a store as well
/// as a `static` store.
///
/// Method resolution chooses the conversion: `to_arc` of [`StoreExpr`] itself applies if the expression can
/// be cloned, and otherwise auto-deref finds that of `StaticStore`.
#[derive(Debug)]
pub struct StoreExpr<'a, S>(StaticStore<'a, S>);

impl<'a, S> StoreExpr<'a, S> {
    /// Wraps the value of the expression.
    #[must_use]
    pub const fn new(store: &'a S) -> Self {
        Self(StaticStore(store))
    }
}

impl<S: Store + Clone> StoreExpr<'_, S> {
    /// Clones the expression, which is a pointer such as an `Arc` or a reference to a static.
    #[must_use]
    pub fn to_arc(&self) -> Arc<dyn Store> {
        Arc::new(self.0.0.clone())
    }
}

impl StoreExpr<'_, NamedStore> {
    /// Copies the name.
    #[must_use]
    pub const fn to_arc(&self) -> NamedStore {
        *self.0.0
    }
}

impl<'a, S> Deref for StoreExpr<'a, S> {
    type Target = StaticStore<'a, S>;

    fn deref(&self) -> &StaticStore<'a, S> {
        &self.0
    }
}

/// A store that cannot be cloned, and therefore has to be a `static`.
#[derive(Debug)]
pub struct StaticStore<'a, S>(&'a S);

impl<S> StaticStore<'static, S> {
    /// Wraps the reference to the `static`.
    #[must_use]
    pub fn to_arc(&self) -> Arc<dyn Store>
    where
        S: Store,
    {
        Arc::new(self.0)
    }
}

/// What `to_arc` returns: a store, or the name of one.
#[derive(Debug, Clone)]
pub enum StoreOrName {
    /// A store.
    Store(Arc<dyn Store>),
    /// The name of a store that is configured.
    Named(NamedStore),
}

impl From<Arc<dyn Store>> for StoreOrName {
    fn from(store: Arc<dyn Store>) -> Self {
        Self::Store(store)
    }
}

impl From<NamedStore> for StoreOrName {
    fn from(name: NamedStore) -> Self {
        Self::Named(name)
    }
}
