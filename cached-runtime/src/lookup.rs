//! Where the value of a call came from, and how old it is.

use std::time::Duration;

/// The output of the companion `lookup`: the value of a call, where it came from, and how old it is.
///
/// # Examples
///
/// ```
/// use cached_runtime::{Source, async_cached};
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(double::lookup(4).await.source, Source::Computed);
/// let lookup = double::lookup(4).await;
/// assert_eq!((lookup.value, lookup.source), (8, Source::Memory));
/// assert!(lookup.key.contains("double"));
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup<R> {
    /// The value that a call would have returned.
    pub value: R,
    /// Where it came from.
    pub source: Source,
    /// The time since it was computed or stored by `put`; by the wall clock if it came from a shared store.
    pub age: Duration,
    /// For how long the value stays fresh; zero if it is stale, or was computed and not stored.
    pub fresh_for: Duration,
    /// The name of the entry, as the companion `key` returns it: the namespace of the function and a digest of the key. In a
    /// shared store it is the name by which the server has the value.
    pub key: String,
}

/// Where the value of a call came from.
///
/// # Examples
///
/// ```
/// use cached_runtime::Source;
///
/// assert_ne!(Source::Memory, Source::Computed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Memory; the value was fresh.
    Memory,
    /// The shared store; the value was fresh.
    Shared,
    /// The function: this call ran it, or waited for a call that did.
    Computed,
    /// Memory or the shared store; the value was stale.
    Stale,
    /// Another call, for which this one waited: its function failed or exceeded its `timeout`, and the error is a copy of
    /// that call's, or was made of it.
    SharedError,
}

/// Where a value came from, and how old it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    pub(crate) age: Duration,
    pub(crate) fresh_for: Duration,
}

/// Where a value came from, how old it is, and its key for people.
#[derive(Debug)]
pub(crate) struct Provenance {
    pub(crate) origin: Origin,
    pub(crate) key: String,
}

impl Origin {
    /// A value that was computed just now.
    pub(crate) const COMPUTED: Self =
        Self { source: Source::Computed, age: Duration::ZERO, fresh_for: Duration::ZERO };
    /// The error of another call.
    pub(crate) const SHARED_ERROR: Self =
        Self { source: Source::SharedError, age: Duration::ZERO, fresh_for: Duration::ZERO };
}

impl Provenance {
    /// Combines this with the value.
    pub(crate) fn into_lookup<R>(self, value: R) -> Lookup<R> {
        let Self { origin: Origin { source, age, fresh_for }, key } = self;
        Lookup { value, source, age, fresh_for, key }
    }
}
