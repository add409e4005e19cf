//! What a computation leaves under its key.

/// What a computation leaves under its key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WriteAction<T> {
    Store(T),
    /// Nothing: what was there has given way to an answer that is not kept.
    Remove,
    /// What is there, as it has brought nothing better.
    Keep,
}

impl<T> WriteAction<T> {
    /// The same with something else for the value, if there is that: else nothing is left.
    pub(crate) fn filter_map<U>(self, value: impl FnOnce(T) -> Option<U>) -> WriteAction<U> {
        match self {
            Self::Store(old) => value(old).map_or(WriteAction::Remove, WriteAction::Store),
            Self::Remove => WriteAction::Remove,
            Self::Keep => WriteAction::Keep,
        }
    }
}

/// What became of a value that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// It is stored, or could have been: nothing was invalidated while it was computed.
    Stored,
    /// The lease was lost, or everything was cleared: what was computed may be from before that.
    Rejected,
    /// The store failed, or was not asked.
    Unknown,
}
