//! The conversion of the expression in `backend = EXPR` to a store.

use std::ops::Deref;
use std::sync::Arc;

use super::{NamedStore, Store};

/// The expression in `backend = EXPR`: `StoreExpr::owned(EXPR)` accepts a store, a pointer to one, and the name of one.
///
/// What cannot be moved, such as a `static`, is borrowed: `StoreExpr::new(&EXPR).to_store()`. Method resolution chooses
/// the conversion: `to_store` of [`StoreExpr`] itself applies if the expression can be cloned, and otherwise auto-deref
/// finds that of `StaticStore`.
#[derive(Debug)]
pub struct StoreExpr<'a, S>(StaticStore<'a, S>);

impl<'a, S> StoreExpr<'a, S> {
    /// Wraps the value of the expression.
    #[must_use]
    pub const fn new(store: &'a S) -> Self {
        Self(StaticStore(store))
    }
}

impl<S: IntoStore> StoreExpr<'static, S> {
    /// Takes the value of the expression.
    #[must_use]
    pub fn owned(store: S) -> StoreOrName {
        store.into_store()
    }
}

/// The value of an expression: a store, or the name of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Store`",
    label = "this type must implement `cached_runtime::Store`"
)]
pub trait IntoStore {
    /// Turns the value into a store, or the name of one.
    fn into_store(self) -> StoreOrName;
}

#[diagnostic::do_not_recommend]
impl<S: Store> IntoStore for S {
    fn into_store(self) -> StoreOrName {
        StoreOrName::Store(Arc::new(self))
    }
}

#[diagnostic::do_not_recommend]
impl IntoStore for NamedStore {
    fn into_store(self) -> StoreOrName {
        StoreOrName::Named(self)
    }
}

impl<S: Store + Clone> StoreExpr<'_, S> {
    /// Clones the expression, which is a pointer such as an `Arc` or a reference to a static.
    #[must_use]
    pub fn to_store(&self) -> StoreOrName {
        StoreOrName::Store(Arc::new(self.0.0.clone()))
    }
}

impl StoreExpr<'_, NamedStore> {
    /// Copies the name.
    #[must_use]
    pub const fn to_store(&self) -> StoreOrName {
        StoreOrName::Named(*self.0.0)
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
    pub fn to_store(&self) -> StoreOrName
    where
        S: Store,
    {
        StoreOrName::Store(Arc::new(self.0))
    }
}

/// What an expression is turned into: a store, or the name of one.
#[derive(Debug, Clone)]
pub enum StoreOrName {
    /// A store.
    Store(Arc<dyn Store>),
    /// The name of a store that is configured.
    Named(NamedStore),
}
