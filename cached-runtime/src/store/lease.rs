//! Leases: the right to fill a key.

use bytes::Bytes;

/// Which keys a lease may be acquired on.
///
/// A store that does not know a mode treats it as [`IfAbsent`](Self::IfAbsent), the strictest one.
///
/// # Examples
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
#[non_exhaustive]
pub enum LeaseMode {
    /// Only a key without a value. If another caller has filled the key meanwhile, its value is used.
    IfAbsent,
    /// Also a key with a value, because the value is unusable or due for a refresh.
    Replace,
}

/// The result of [`Store::acquire`](crate::Store::acquire).
///
/// # Examples
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
///         let value = Bytes::from("Ada"); // The lease was granted: compute the value.
///         store.fill(&key, lease, value.clone(), Duration::from_secs(60)).await?;
///         Some(value)
///     }
///     _ => None, // Another caller computes it: try again later.
/// };
/// assert_eq!(value, Some("Ada".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acquired {
    /// The value of the key, if it has one.
    pub value: Option<Bytes>,
    /// The lease, if it was granted.
    pub lease: Option<Lease>,
    /// The identity of the lease that another caller holds, if that is why none was granted.
    pub holder: Option<LeaseId>,
}

impl Acquired {
    /// The lease was granted, on a key with this value or without one.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Acquired, Lease};
    ///
    /// let acquired = Acquired::granted(None, Lease::new(7));
    /// assert_eq!((acquired.lease, acquired.holder), (Some(Lease::new(7)), None));
    /// ```
    #[must_use]
    pub const fn granted(value: Option<Bytes>, lease: Lease) -> Self {
        Self { value, lease: Some(lease), holder: None }
    }

    /// No lease was granted because another caller holds it; `holder` identifies that lease, if the store
    /// knows it.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Acquired, LeaseId};
    ///
    /// let acquired = Acquired::held(Some("stale".into()), Some(LeaseId::new(7)));
    /// assert_eq!((acquired.lease, acquired.holder), (None, Some(LeaseId::new(7))));
    /// ```
    #[must_use]
    pub const fn held(value: Option<Bytes>, holder: Option<LeaseId>) -> Self {
        Self { value, lease: None, holder }
    }

    /// No lease was granted because the key has a value and the mode was [`LeaseMode::IfAbsent`].
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Acquired;
    ///
    /// let acquired = Acquired::found("fresh".into());
    /// assert_eq!(acquired.value, Some("fresh".into()));
    /// assert_eq!((acquired.lease, acquired.holder), (None, None));
    /// ```
    #[must_use]
    pub const fn found(value: Bytes) -> Self {
        Self { value: Some(value), lease: None, holder: None }
    }
}

/// Identifies the current lease of a key without granting it.
///
/// The identity is the same until the lease ends, and differs from that of the next lease of the key. A
/// waiting caller learns from it that a computation came to nothing: another lease is held now, and the key
/// still has no value. It exposes no number and cannot be turned into a [`Lease`], so that it cannot be used
/// to fill a key.
///
/// # Examples
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
    /// Creates an identity from a number of the store: the token of the lease, or any other number that
    /// differs from those of the leases before and after it.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Lease, LeaseId};
    ///
    /// let lease = Lease::new(7);
    /// assert_eq!(LeaseId::new(lease.token()), LeaseId::new(7));
    /// ```
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }
}

/// The right to fill one key. It ends when it is released, when its term is over, or when the key is changed.
///
/// The token is defined by the store, for example a random number or a version.
///
/// # Examples
///
/// ```
/// use cached_runtime::Lease;
///
/// // A server whose versions restart with the process needs both numbers.
/// let (start, version) = (3_u64, 42_u64);
/// let lease = Lease::new(u128::from(start) << 64 | u128::from(version));
/// assert_eq!((lease.token() >> 64) as u64, start);
/// assert_eq!(lease.token() as u64, version);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(u128);

impl Lease {
    /// Creates a lease from the token that its store gave it.
    ///
    /// # Examples
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

    /// Returns the token that the store gave it.
    ///
    /// # Examples
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
