//! Leases: the right to fill a key.

use bytes::Bytes;

use crate::util::random;

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
/// use cached_runtime::{Key, Lease, LeaseMode, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// # let store = map::MapStore::default();
/// let key = Key::new("users", "ada")?;
/// let (lease, term) = (Lease::random(), Duration::from_secs(10));
/// store.put(&key, "Ada".into(), None).await?;
/// assert!(!store.acquire(&key, lease, term, LeaseMode::IfAbsent).await?.is_granted);
/// assert!(store.acquire(&key, lease, term, LeaseMode::Replace).await?.is_granted);
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

/// How the last attempt to compute the value of a key ended, as far as the store knows.
///
/// The holder of a lease says it with [`Store::release`](crate::Store::release), and callers that waited for it learn
/// it from [`Acquired::last_attempt`].
///
/// # Examples
///
/// ```
/// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
/// use std::time::Duration;
///
/// use cached_runtime::{Key, LastAttempt, Lease, LeaseMode, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// # let store = map::MapStore::default();
/// let key = Key::new("users", "ada")?;
/// let term = Duration::from_secs(10);
/// let lease = Lease::random();
/// store.acquire(&key, lease, term, LeaseMode::IfAbsent).await?;
/// store.release(&key, lease, LastAttempt::Failed).await?;
///
/// let next = store.acquire(&key, Lease::random(), term, LeaseMode::IfAbsent).await?;
/// assert_eq!(next.last_attempt, LastAttempt::Failed);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastAttempt {
    /// Nothing is known: there was none, it was given up, its term ended, or a change of the key ended it.
    Unknown,
    /// The computation failed.
    Failed,
    /// There is a result, but it cannot be stored: each caller has to compute its own.
    NotStored,
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
/// use cached_runtime::{Acquired, Key, Lease, LeaseMode, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// # let store = map::MapStore::default();
/// let key = Key::new("users", "ada")?;
/// let (lease, term) = (Lease::random(), Duration::from_secs(10));
/// let value = match store.acquire(&key, lease, term, LeaseMode::IfAbsent).await? {
///     Acquired { value: Some(value), .. } => Some(value),
///     Acquired { is_granted: true, .. } => {
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
    /// Whether the lease was granted.
    pub is_granted: bool,
    /// The identity of the lease that another caller holds, if that is why none was granted.
    pub holder: Option<LeaseId>,
    /// How the last attempt ended that is over: not the one of the current holder, but the one before it.
    pub last_attempt: LastAttempt,
}

impl Acquired {
    /// The lease was granted, on a key with this value or without one.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Acquired;
    ///
    /// let acquired = Acquired::granted(None);
    /// assert!(acquired.is_granted && acquired.holder.is_none());
    /// ```
    #[must_use]
    pub const fn granted(value: Option<Bytes>) -> Self {
        Self { value, is_granted: true, holder: None, last_attempt: LastAttempt::Unknown }
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
    /// assert!(!acquired.is_granted);
    /// assert_eq!(acquired.holder, Some(LeaseId::new(7)));
    /// ```
    #[must_use]
    pub const fn held(value: Option<Bytes>, holder: Option<LeaseId>) -> Self {
        Self { value, is_granted: false, holder, last_attempt: LastAttempt::Unknown }
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
    /// assert!(!acquired.is_granted && acquired.holder.is_none());
    /// ```
    #[must_use]
    pub const fn found(value: Bytes) -> Self {
        Self { value: Some(value), is_granted: false, holder: None, last_attempt: LastAttempt::Unknown }
    }

    /// Sets how the last attempt ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Acquired, LastAttempt};
    ///
    /// let acquired = Acquired::granted(None).after(LastAttempt::Failed);
    /// assert_eq!(acquired.last_attempt, LastAttempt::Failed);
    /// ```
    #[must_use]
    pub fn after(self, last_attempt: LastAttempt) -> Self {
        Self { last_attempt, ..self }
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
/// The caller chooses the token before it asks for the lease. Whatever becomes of the answer, the caller can then give
/// the lease back: an answer that is late or lost leaves no lease behind.
///
/// # Examples
///
/// ```
/// use cached_runtime::Lease;
///
/// let lease = Lease::random();
/// assert_eq!(Lease::new(lease.token()), lease);
/// assert_ne!(Lease::random(), lease);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(u128);

impl Lease {
    /// Creates a lease with this token.
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

    /// Creates a lease with a random token, which no other process draws.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Lease;
    ///
    /// assert_ne!(Lease::random(), Lease::random());
    /// ```
    #[must_use]
    pub fn random() -> Self {
        let half = || u128::from(random::token());
        Self(half() << 64 | half())
    }

    /// Returns the token.
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
