//! The store that the expression of an attribute names.

use std::ops::Deref;
use std::sync::Arc;

use super::Store;

/// A store that `backend = EXPR` names: `Named::new(&EXPR).to_arc()` takes it however it is given.
#[derive(Debug)]
pub struct Named<'a, S>(InPlace<'a, S>);

/// A store that can not be cloned.
#[derive(Debug)]
pub struct InPlace<'a, S>(&'a S);

impl<'a, S> Named<'a, S> {
    /// The store.
    #[must_use]
    pub const fn new(store: &'a S) -> Self {
        Self(InPlace(store))
    }
}

impl<S: Store + Clone> Named<'_, S> {
    /// A store that is cheap to clone: an `Arc`, a reference to a static.
    #[must_use]
    pub fn to_arc(&self) -> Arc<dyn Store> {
        Arc::new(self.0.0.clone())
    }
}

impl<S> InPlace<'static, S> {
    /// A `static` that is a store itself.
    #[must_use]
    pub fn to_arc(&self) -> Arc<dyn Store>
    where
        S: Store,
    {
        Arc::new(self.0)
    }
}

impl<'a, S> Deref for Named<'a, S> {
    type Target = InPlace<'a, S>;

    fn deref(&self) -> &InPlace<'a, S> {
        &self.0
    }
}
