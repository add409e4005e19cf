//! Where the values of a backend are, in this process.

#[cfg(feature = "store")]
use std::sync::Arc;

#[cfg(feature = "store")]
use super::Store;
#[cfg(feature = "store")]
use crate::Result;

/// What a backend is by the configuration of this process.
#[derive(Debug, Clone)]
pub(crate) enum Placement {
    /// The memory of this process.
    Memory,
    /// Nowhere: calls compute, and nothing is stored.
    #[cfg(feature = "store")]
    Off,
    /// A shared store; an error if its settings are wrong.
    #[cfg(feature = "store")]
    Store(Result<Arc<dyn Store>>),
}

#[cfg(feature = "store")]
impl Placement {
    /// Returns the shared store, if it is one.
    pub(super) const fn store(&self) -> Option<&Result<Arc<dyn Store>>> {
        match self {
            Self::Store(store) => Some(store),
            Self::Memory | Self::Off => None,
        }
    }

    /// Returns what is wrong with the settings.
    pub(super) fn error(&self) -> Option<&crate::Error> {
        self.store()?.as_ref().err()
    }
}
