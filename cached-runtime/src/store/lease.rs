//! Leases on keys.

use bytes::Bytes;

/// What a lease may be taken over.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// use std::time::Duration;
///
/// use cached_runtime::{Key, LeaseMode, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// # let store = map::MapStore::default();
/// let key = Key::new("users", "ada")?;
/// let term = Duration::from_secs(10);
/// store.put(&key, "Ada".into(), None).await?;
/// assert!(store.acquire(&key, term, LeaseMode::IfAbsent).await?.lease.is_none());
/// assert!(store.acquire(&key, term, LeaseMode::Replace).await?.lease.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseMode {
    /// Only a key without a value can be leased: someone who filled it meanwhile has won.
    IfAbsent,
    /// A key that has a value can be leased as well: the value is known to be unusable, or due for a refresh.
    Replace,
}

/// What [`Store::acquire`] found.
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// use std::time::Duration;
///
/// use bytes::Bytes;
/// use cached_runtime::{Acquired, Key, LeaseMode, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// # let store = map::MapStore::default();
/// let key = Key::new("users", "ada")?;
/// let term = Duration::from_secs(10);
/// let value = match store.acquire(&key, term, LeaseMode::IfAbsent).await? {
///     Acquired { value: Some(value), .. } => Some(value),
///     Acquired { lease: Some(lease), .. } => {
///         let value = Bytes::from("Ada"); // It is ours to compute.
///         store.fill(&key, lease, value.clone(), Duration::from_secs(60)).await?;
///         Some(value)
///     }
///     Acquired { .. } => None, // Another one computes it: ask again later.
/// };
/// assert_eq!(value, Some("Ada".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquired {
    /// The bytes under the key, if any.
    pub value: Option<Bytes>,
    /// The lease, if it was given.
    pub lease: Option<Lease>,
    /// Who holds it, if that is why it was not given.
    pub holder: Option<LeaseId>,
}

/// Who holds a lease: the same as long as the lease is held, and another for the next one.
///
/// It is how one who waits sees that a computation has come to nothing: another holds the lease now, and there
/// still is no value. It shows no number and makes no lease, so that nobody can fill a key with it.
///
/// ```
/// use cached_runtime::LeaseId;
///
/// assert_eq!(LeaseId::new(7), LeaseId::new(7));
/// assert_ne!(LeaseId::new(7), LeaseId::new(8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseId(u128);

impl LeaseId {
    /// A holder known to its store by this number: that of the lease, or any other that tells it from the next.
    ///
    /// ```
    /// use cached_runtime::{LeaseId, Lease};
    ///
    /// let lease = Lease::new(7);
    /// assert_eq!(LeaseId::new(lease.token()), LeaseId::new(7));
    /// ```
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }
}

/// The right to fill one key, until it is given back, its term is over, or the key was changed by another.
///
/// What the number means is the store's own affair: a random token, a version counter.
///
/// ```
/// use cached_runtime::Lease;
///
/// // A server that counts anew after each start needs both numbers.
/// let (start, version) = (3_u64, 42_u64);
/// let lease = Lease::new(u128::from(start) << 64 | u128::from(version));
/// assert_eq!((lease.token() >> 64) as u64, start);
/// assert_eq!(lease.token() as u64, version);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(u128);

impl Lease {
    /// A lease known to its store by this number.
    ///
    /// ```
    /// use cached_runtime::Lease;
    ///
    /// assert_eq!(Lease::new(7), Lease::new(7));
    /// assert_ne!(Lease::new(7), Lease::new(8));
    /// ```
    #[must_use]
    pub const fn new(token: u128) -> Self {
        Self(token)
    }

    /// The number that the store gave it.
    ///
    /// ```
    /// use cached_runtime::Lease;
    ///
    /// assert_eq!(Lease::new(7).token(), 7);
    /// ```
    #[must_use]
    pub const fn token(&self) -> u128 {
        self.0
    }
}
