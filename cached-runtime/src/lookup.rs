//! Where an answer came from.

use std::time::Duration;

/// What `lookup` answers: the value, where it came from, and how old it is.
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
/// let found = double::lookup(4).await;
/// assert_eq!((found.value, found.source), (8, Source::Memory));
/// assert!(found.key.contains("double"));
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup<R> {
    /// What a call would have returned.
    pub value: R,
    /// Where it came from.
    pub source: Source,
    /// How long ago it was computed, or put; by the clock on the wall if it came from a shared store.
    pub age: Duration,
    /// The name of the function and a digest of what makes the key. For a shared store this is the key as it is sent,
    /// but for what the store puts around it.
    pub key: String,
}

/// Where an answer came from.
///
/// ```
/// use cached_runtime::Source;
///
/// assert_ne!(Source::Memory, Source::Computed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// From memory, fresh.
    Memory,
    /// From the shared store, fresh.
    Shared,
    /// From the function: this call ran it, or waited for one that did.
    Computed,
    /// From memory or the shared store, though it was no longer fresh.
    Stale,
}

/// Where an answer came from, and how old it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) source: Source,
    pub(crate) age: Duration,
}

/// The same with the key.
#[derive(Debug)]
pub(crate) struct Provenance {
    pub(crate) origin: Origin,
    pub(crate) key: String,
}

impl Origin {
    /// Just now.
    pub(crate) const COMPUTED: Self = Self { source: Source::Computed, age: Duration::ZERO };
}

impl Provenance {
    pub(crate) fn of<R>(self, value: R) -> Lookup<R> {
        let Self { origin: Origin { source, age }, key } = self;
        Lookup { value, source, age, key }
    }
}
