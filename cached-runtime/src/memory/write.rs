//! What a computation writes to a tier.

/// What to do with the entry of a key after a computation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WriteAction<T> {
    /// Store the result.
    Store(T),
    /// Remove the entry: the result replaces it and is not cacheable.
    Remove,
    /// Keep the entry: the computation brought nothing better, as when it failed.
    Keep,
}

impl<T> WriteAction<T> {
    /// Replaces what is stored; where `value` returns `None`, the entry is removed instead.
    pub(crate) fn filter_map<U>(self, value: impl FnOnce(T) -> Option<U>) -> WriteAction<U> {
        match self {
            Self::Store(old) => value(old).map_or(WriteAction::Remove, WriteAction::Store),
            Self::Remove => WriteAction::Remove,
            Self::Keep => WriteAction::Keep,
        }
    }
}

/// The outcome of a fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Nothing was invalidated during the computation. The result is stored, if it was to be.
    Stored,
    /// The lease was lost or the namespace was cleared: the result may be from before an invalidation.
    Rejected,
    /// The store failed, or was not asked.
    Unknown,
}
