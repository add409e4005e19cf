//! Leases: the right to fill a key.

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
    /// Also a key with a value, because any value is due for a refresh.
    Replace,
    /// As [`Replace`](Self::Replace), and also a key that another caller has leased: its lease ends.
    TakeOver,
    /// Also a key with this value, because it is unusable. If another caller has replaced it meanwhile, the new value is
    /// used.
    IfUnchanged(ValueId),
}

impl LeaseMode {
    /// Returns `true` if a lease may be acquired on a key with this value.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{LeaseMode, ValueId};
    ///
    /// let found = b"Ada";
    /// assert!(!LeaseMode::IfAbsent.replaces(found));
    /// assert!(LeaseMode::Replace.replaces(found));
    /// assert!(LeaseMode::IfUnchanged(ValueId::of(b"Ada")).replaces(found));
    /// assert!(!LeaseMode::IfUnchanged(ValueId::of(b"Eve")).replaces(found));
    /// ```
    #[must_use]
    pub fn replaces(&self, value: &[u8]) -> bool {
        match self {
            Self::IfAbsent => false,
            Self::Replace | Self::TakeOver => true,
            Self::IfUnchanged(id) => *id == ValueId::of(value),
        }
    }
}

/// Tells a value from the other ones of its key: the size, and the last 16 bytes.
///
/// The values of this crate end in a checksum. So a store can compare values, however large they are, without reading or
/// sending them.
///
/// # Examples
///
/// ```
/// use cached_runtime::ValueId;
///
/// let id = ValueId::of(b"Ada");
/// assert_eq!(id, ValueId::of(b"Ada"));
/// assert_ne!(id, ValueId::of(b"Eve"));
/// assert_eq!((id.size(), id.end()), (3, &b"Ada"[..]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueId {
    size: usize,
    /// Filled up with zeros, if the value is shorter.
    end: [u8; Self::END_BYTES],
}

impl ValueId {
    /// How many bytes at the end of a value tell it from others.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::ValueId;
    ///
    /// assert_eq!(ValueId::of(&[7; 100]).end().len(), ValueId::END_BYTES);
    /// ```
    pub const END_BYTES: usize = 16;

    /// Returns the identity of a value.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::ValueId;
    ///
    /// assert_eq!(ValueId::of(b"").size(), 0);
    /// ```
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        let tail = &value[value.len().saturating_sub(Self::END_BYTES)..];
        let mut end = [0; Self::END_BYTES];
        end[..tail.len()].copy_from_slice(tail);
        Self { size: value.len(), end }
    }

    /// Returns the size of the value, in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::ValueId;
    ///
    /// assert_eq!(ValueId::of(b"Ada").size(), 3);
    /// ```
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Returns the last bytes of the value: [`END_BYTES`](Self::END_BYTES), or all, if it has less.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::ValueId;
    ///
    /// assert_eq!(ValueId::of(b"0123456789abcdefghij").end(), b"456789abcdefghij");
    /// ```
    #[must_use]
    pub fn end(&self) -> &[u8] {
        &self.end[..self.size.min(Self::END_BYTES)]
    }
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
///     Acquired { is_granted: true, .. } => {
///         let value = Bytes::from("Ada"); // The lease was granted: compute the value.
///         store.fill(&key, lease, value.clone(), Duration::from_secs(60)).await?;
///         Some(value)
///     }
///     Acquired { is_filled: true, .. } => store.get(&[key]).await?.remove(0),
///     _ => None, // Another caller computes it: try again later.
/// };
/// assert_eq!(value, Some("Ada".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acquired {
    /// Whether the lease was granted.
    pub is_granted: bool,
    /// Whether none was granted because the key has a value that the mode does not replace.
    pub is_filled: bool,
    /// The identity of the lease that another caller holds, if that is why none was granted.
    pub holder: Option<LeaseId>,
    /// How the last attempt ended that is over: not the one of the current holder, but the one before it.
    pub last_attempt: LastAttempt,
}

impl Acquired {
    /// The lease was granted.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Acquired;
    ///
    /// let acquired = Acquired::granted();
    /// assert!(acquired.is_granted && acquired.holder.is_none());
    /// ```
    #[must_use]
    pub const fn granted() -> Self {
        Self { is_granted: true, is_filled: false, holder: None, last_attempt: LastAttempt::Unknown }
    }

    /// No lease was granted because another caller holds it; `holder` identifies that lease, if the store
    /// knows it.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Acquired, LeaseId};
    ///
    /// let acquired = Acquired::held(Some(LeaseId::new(7)));
    /// assert!(!acquired.is_granted && !acquired.is_filled);
    /// assert_eq!(acquired.holder, Some(LeaseId::new(7)));
    /// ```
    #[must_use]
    pub const fn held(holder: Option<LeaseId>) -> Self {
        Self { is_granted: false, is_filled: false, holder, last_attempt: LastAttempt::Unknown }
    }

    /// No lease was granted because the key has a value that the mode does not
    /// [replace](LeaseMode::replaces).
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Acquired;
    ///
    /// let acquired = Acquired::found();
    /// assert!(acquired.is_filled && !acquired.is_granted && acquired.holder.is_none());
    /// ```
    #[must_use]
    pub const fn found() -> Self {
        Self { is_granted: false, is_filled: true, holder: None, last_attempt: LastAttempt::Unknown }
    }

    /// Sets how the last attempt ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Acquired, LastAttempt};
    ///
    /// let acquired = Acquired::granted().after(LastAttempt::Failed);
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
