//! What can go wrong, in one type.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// `Result` with this crate's [`Error`].
///
/// ```
/// use cached_runtime::{Error, ErrorKind, Result};
///
/// fn port(text: &str) -> Result<u16> {
///     text.parse().map_err(|e| Error::new(ErrorKind::Config, "the port is no number").with_source(e))
/// }
///
/// assert_eq!(port("11211")?, 11211);
/// assert_eq!(port("memcached").unwrap_err().kind(), ErrorKind::Config);
/// # Ok::<(), Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the cache could not do what it was asked for.
///
/// A call of a cached function never fails with it, unless it has a `timeout`, whose error is made from this one: a store
/// that fails is a miss. It is what the companions (`invalidate`, `put`, `clear`), `configure` and a `Store` return.
/// No message contains a password, an argument or a value.
///
/// ```
/// use cached_runtime::{ErrorKind, Handle};
///
/// static FIND: Handle = Handle::new();
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = FIND.clear().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Config);
/// assert_eq!(error.to_string(), "the cached function of this handle was not called yet");
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    what: &'static str,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What a caller can act on.
///
/// ```
/// use cached_runtime::{Error, ErrorKind};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Unreachable | ErrorKind::Timeout => "try again",
///         ErrorKind::Config => "mend the settings",
///         _ => "look at the server",
///     }
/// }
///
/// assert_eq!(advice(&Error::new(ErrorKind::Unreachable, "nobody listens there")), "try again");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached; it is worth trying again.
    Unreachable,
    /// The store did not answer within the deadline; whether it did what was asked is not known. Or a function took longer
    /// than its `timeout`.
    Timeout,
    /// The store answered, and refused: it is read-only, out of memory, or wants other credentials.
    Rejected,
    /// The answer was not understood: something else listens there, or bytes were lost.
    Protocol,
    /// The value is larger than the store takes.
    TooLarge,
    /// A key or a value can not be turned into bytes, or bytes not into a value.
    Codec,
    /// A setting is wrong, missing, or came too late.
    Config,
}

impl Error {
    /// An error of a kind, with one lower-case clause that says what happened.
    ///
    /// ```
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Timeout, "the store did not answer in time");
    /// assert_eq!(error.to_string(), "the store did not answer in time");
    /// assert!(error.is_timeout());
    /// ```
    #[must_use]
    pub const fn new(kind: ErrorKind, what: &'static str) -> Self {
        Self { kind, what, source: None }
    }

    /// The same error with what caused it.
    ///
    /// ```
    /// use std::error::Error as _;
    ///
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Rejected, "the store is read-only").with_source("the disk is full");
    /// assert_eq!(error.source().unwrap().to_string(), "the disk is full");
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What a caller can act on.
    ///
    /// ```
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// assert_eq!(Error::new(ErrorKind::Rejected, "the store is read-only").kind(), ErrorKind::Rejected);
    /// ```
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the store could not be reached.
    ///
    /// ```
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Unreachable, "nobody listens there").is_unreachable());
    /// ```
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable)
    }

    /// Whether the store did not answer in time, so that what was asked may or may not have happened.
    ///
    /// ```
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Timeout, "the store did not answer in time").is_timeout());
    /// ```
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self.kind, ErrorKind::Timeout)
    }

    /// Whether the value was larger than the store takes.
    ///
    /// ```
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::TooLarge, "the value is larger than 1 MiB").is_too_large());
    /// ```
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        matches!(self.kind, ErrorKind::TooLarge)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.kind).field("what", &self.what);
        if let Some(source) = &self.source {
            out.field("source", source);
        }
        out.finish()
    }
}

/// For functions that return an [`io::Error`](std::io::Error) and have a `timeout`.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::Timeout => std::io::ErrorKind::TimedOut,
            ErrorKind::Unreachable => std::io::ErrorKind::NotConnected,
            ErrorKind::Rejected
            | ErrorKind::Protocol
            | ErrorKind::TooLarge
            | ErrorKind::Codec
            | ErrorKind::Config => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
