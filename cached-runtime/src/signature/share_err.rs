//! How the error of one call is given to others.

use std::fmt;
use std::fmt::Display;
use std::sync::Arc;

use crate::Error;

/// How an error is given to several callers.
pub trait ShareErr<E>: Copy + Send + Sync + 'static {
    /// What is kept of an error.
    type Shared: Clone + Send + Sync + 'static;
    /// Returns what is kept of an error.
    fn share(self, error: &E) -> Self::Shared;
    /// Returns an error for one caller.
    fn restore(self, shared: Self::Shared) -> E;
}

/// Each caller gets a clone.
#[derive(Debug, Clone, Copy)]
pub struct ByClone;

impl<E: Clone + Send + Sync + 'static> ShareErr<E> for ByClone {
    type Shared = E;

    fn share(self, error: &E) -> E {
        error.clone()
    }

    fn restore(self, shared: E) -> E {
        shared
    }
}

/// Each caller gets an error that is made of an [`Error`] with the text of the original.
#[derive(Debug, Clone, Copy)]
pub struct ByText;

impl<E: From<Error> + Display + 'static> ShareErr<E> for ByText {
    type Shared = Error;

    fn share(self, error: &E) -> Error {
        Error::shared(error)
    }

    fn restore(self, shared: Error) -> E {
        shared.into()
    }
}

/// Each caller gets an error that the function of `share_err` makes.
pub struct ByFunction<E>(pub(super) fn(&E) -> E);

impl<E: Send + Sync + 'static> ShareErr<E> for ByFunction<E> {
    type Shared = Arc<E>;

    // The caller that has the original returns it, so the others make theirs of a first copy.
    fn share(self, error: &E) -> Arc<E> {
        Arc::new((self.0)(error))
    }

    fn restore(self, shared: Arc<E>) -> E {
        Arc::try_unwrap(shared).unwrap_or_else(|shared| (self.0)(&shared))
    }
}

impl<E> Clone for ByFunction<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for ByFunction<E> {}

impl<E> fmt::Debug for ByFunction<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByFunction").finish_non_exhaustive()
    }
}

/// An error in a value of a shared store: it is encoded as the error itself.
pub struct Stored<E>(Arc<E>);

impl<E> Stored<E> {
    pub(super) fn new(error: E) -> Self {
        Self(Arc::new(error))
    }

    /// Returns the error, or a copy of it if there are other clones. A shared store makes none.
    pub(super) fn into_error(self, copy: impl FnOnce(&E) -> E) -> E {
        Arc::try_unwrap(self.0).unwrap_or_else(|error| copy(&error))
    }
}

impl<E> Clone for Stored<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for Stored<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").finish_non_exhaustive()
    }
}

#[cfg(feature = "store")]
impl<E: serde::Serialize> serde::Serialize for Stored<E> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(feature = "store")]
impl<'de, E: serde::Deserialize<'de>> serde::Deserialize<'de> for Stored<E> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        E::deserialize(deserializer).map(Self::new)
    }
}
