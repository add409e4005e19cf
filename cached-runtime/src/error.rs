//! The error of this crate.

use std::any::Any;
use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

/// A `Result` with this crate's [`Error`].
///
/// # Examples
///
/// ```
/// use cached_runtime::{Error, ErrorKind, Result};
///
/// fn port(text: &str) -> Result<u16> {
///     text.parse().map_err(|e| Error::new(ErrorKind::Config, "the port is not a number").with_source(e))
/// }
///
/// assert_eq!(port("11211")?, 11211);
/// assert_eq!(port("memcached").unwrap_err().kind(), ErrorKind::Config);
/// # Ok::<(), Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of the cache: of the companions that change something (`invalidate`, `expire`, `put`, `clear`), of
/// [`invalidate_tag`](crate::invalidate_tag), of the configuration, and of a `Store`.
///
/// A call of a cached function does not return it, because a failing store is a miss. There are two exceptions, where the
/// error of the function is made of one: a function with `timeout` ([`ErrorKind::Timeout`]), and a call that waited for
/// another one that failed ([`ErrorKind::Shared`]).
///
/// `Display` shows one clause; what caused the error is its `source`. No message contains a password, an argument or a
/// value, except that of a shared error, which is the message of the function's own error. A clone shares the source.
///
/// # Examples
///
/// ```
/// use cached_runtime::{Error, ErrorKind, async_cached};
///
/// #[async_cached(ttl = 60, timeout = "1ms")]
/// async fn never() -> Result<u64, Error> {
///     std::future::pending().await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = never().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// assert_eq!(error.to_string(), "the cached function took longer than its `timeout`");
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: Message,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Clone)]
enum Message {
    Static(&'static str),
    Shared(Arc<SharedMessage>),
}

/// What is kept of an error that several callers get.
struct SharedMessage {
    text: String,
    /// The kind of the original, if that is an [`io::Error`].
    io_kind: Option<io::ErrorKind>,
}

/// What kind of error it is: what a caller decides by.
///
/// # Examples
///
/// ```
/// use cached_runtime::{Error, ErrorKind};
///
/// fn advice(error: &Error) -> &'static str {
///     match error.kind() {
///         ErrorKind::Unreachable | ErrorKind::Timeout => "try again",
///         ErrorKind::Config => "correct the settings",
///         _ => "check the server",
///     }
/// }
///
/// assert_eq!(advice(&Error::new(ErrorKind::Unreachable, "the server cannot be reached")), "try again");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store could not be reached. A later attempt may succeed.
    Unreachable,
    /// The store did not answer within the deadline: the change may or may not have been made. Or a function exceeded
    /// its `timeout`.
    Timeout,
    /// The operation was not sent, because too many others wait for the store. The change was not made.
    Overloaded,
    /// The store rejected the operation: it is read-only, out of memory, or requires other credentials.
    Rejected,
    /// The answer was not understood: the server is of another kind, or bytes were lost.
    Protocol,
    /// The value is larger than the store accepts, or has too many tags.
    TooLarge,
    /// A key or a value cannot be encoded, or a value cannot be decoded.
    Codec,
    /// A setting is wrong or missing, or was made too late.
    Config,
    /// The cached function failed for another call, for which this one waited, or whose error is cached. The message is
    /// that of the original error.
    Shared,
}

impl Error {
    /// Returns an error of this kind, with one lower-case clause that says what happened.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Timeout, "the store did not answer in time");
    /// assert_eq!(error.to_string(), "the store did not answer in time");
    /// assert!(error.is_timeout());
    /// ```
    #[must_use]
    pub const fn new(kind: ErrorKind, message: &'static str) -> Self {
        Self { kind, message: Message::Static(message), source: None }
    }

    /// Returns an error that shows the text of `original`.
    ///
    /// If the alternate form of the text goes on with a chain of causes, as that of `anyhow::Error` does, the rest of
    /// it becomes the source.
    pub(crate) fn shared<E: fmt::Display + 'static>(original: &E) -> Self {
        let (text, with_causes) = (original.to_string(), format!("{original:#}"));
        let io_kind = (original as &dyn Any).downcast_ref().map(io::Error::kind);
        let causes = with_causes.strip_prefix(&text).and_then(|rest| rest.strip_prefix(": "));
        let source = causes.map(|causes| Arc::from(Box::<dyn StdError + Send + Sync>::from(causes)));
        Self {
            kind: ErrorKind::Shared,
            message: Message::Shared(Arc::new(SharedMessage { text, io_kind })),
            source,
        }
    }

    fn message(&self) -> &str {
        match &self.message {
            Message::Static(message) => message,
            Message::Shared(message) => &message.text,
        }
    }

    /// Returns the error with this cause as its `source`.
    ///
    /// # Examples
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

    /// Returns the kind of the error.
    ///
    /// # Examples
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

    /// Returns `true` if the store could not be reached.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Unreachable, "the server cannot be reached").is_unreachable());
    /// ```
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable)
    }

    /// Returns `true` if the store did not answer within the deadline, so that the change may or may not have been
    /// made, or if a function exceeded its `timeout`.
    ///
    /// # Examples
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

    /// Returns `true` if the value is larger than the store accepts, or has too many tags.
    ///
    /// # Examples
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
        f.write_str(self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.kind).field("message", &self.message());
        if let Some(source) = &self.source {
            out.field("source", source);
        }
        out.finish()
    }
}

/// For functions that return an [`io::Error`]: with `timeout`, or for callers that share one.
///
/// A shared error has the kind of the original.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match (&error.message, error.kind) {
            (Message::Shared(message), _) => message.io_kind.unwrap_or(io::ErrorKind::Other),
            (_, ErrorKind::Timeout) => io::ErrorKind::TimedOut,
            (_, ErrorKind::Unreachable) => io::ErrorKind::NotConnected,
            (
                _,
                ErrorKind::Overloaded
                | ErrorKind::Rejected
                | ErrorKind::Protocol
                | ErrorKind::TooLarge
                | ErrorKind::Codec
                | ErrorKind::Config
                | ErrorKind::Shared,
            ) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
