//! The settings of a Memcached store.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::deadline;
use crate::store::traffic::{DEFAULT_MIN_TRANSFER_RATE, check_min_transfer_rate};
use crate::{Error, ErrorKind, Key, Result};

/// The settings of a [`Memcached`](crate::Memcached) store.
///
/// The settings are checked by [`Memcached::new`](crate::Memcached::new). `Debug` does not show the password.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use cached_runtime::MemcachedConfig;
///
/// let config = MemcachedConfig::new("memcached://cache.internal:11211")
///     .prefix("shop:")
///     .deadline(Duration::from_millis(20))
///     .credentials("shop", "secret");
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct MemcachedConfig {
    server: String,
    pub(super) prefix: String,
    pub(super) deadline: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) max_value_bytes: usize,
    pub(super) max_in_flight: usize,
    pub(super) max_queue_wait: Duration,
    pub(super) min_transfer_rate: u64,
    pub(super) credentials: Option<Credentials>,
}

impl MemcachedConfig {
    /// Creates settings for a server: `host`, `host:port`, `memcached://host:port`, `/path/to.sock` or
    /// `unix:///path/to.sock`.
    ///
    /// The default port is 11211. A name is resolved for each attempt to connect. An IPv6 address with a port
    /// is written in brackets. User and password are set by [`credentials`](MemcachedConfig::credentials),
    /// not here.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// for server in ["localhost", "[::1]:11211", "memcached://cache.internal:11211", "unix:///run/memcached.sock"] {
    ///     assert!(Memcached::new(MemcachedConfig::new(server)).is_ok());
    /// }
    /// ```
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            prefix: "cached:".to_owned(),
            deadline: Duration::from_millis(50),
            connect_timeout: Duration::from_millis(200),
            max_value_bytes: DEFAULT_MAX_VALUE_BYTES,
            max_in_flight: 128,
            max_queue_wait: Duration::from_secs(1),
            min_transfer_rate: DEFAULT_MIN_TRANSFER_RATE,
            credentials: None,
        }
    }

    /// Sets the prefix of every key on the server; `cached:` by default. It may be empty.
    ///
    /// It must be printable ASCII without spaces and at most 95 bytes long, so that no key exceeds the 250
    /// bytes that Memcached accepts.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// let config = || MemcachedConfig::new("localhost");
    /// assert!(Memcached::new(config().prefix("shop:")).is_ok());
    /// assert!(Memcached::new(config().prefix("two words")).is_err());
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the deadline of one operation, from when it is sent; 50 ms by default.
    ///
    /// Before that, the operation may wait for a place ([`max_in_flight`](Self::max_in_flight)). The deadline must be
    /// between one millisecond and one hour. If a command has no reply within twice the deadline, the connection is
    /// replaced. Choose a deadline that a healthy server keeps. Large values have more time
    /// ([`min_transfer_rate`](Self::min_transfer_rate)).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// let config = || MemcachedConfig::new("localhost");
    /// assert!(Memcached::new(config().deadline(Duration::from_millis(20))).is_ok());
    /// assert!(Memcached::new(config().deadline(Duration::ZERO)).is_err());
    /// ```
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the maximum number of operations in flight; 128 by default.
    ///
    /// Reads, requests for leases, and all other operations are counted apart, each for every tokio runtime and for each of
    /// its connections: large values have one of their own. It must be at least 1. Further operations wait, see
    /// [`max_queue_wait`](Self::max_queue_wait). Reads of several calls that are sent as one command count as one. Choose a
    /// number that the server answers within the [`deadline`](Self::deadline).
    ///
    /// A write counts as several if its value is large: as all of them, if the value has 1 MiB or more.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// let config = || MemcachedConfig::new("localhost");
    /// assert!(Memcached::new(config().max_in_flight(100)).is_ok());
    /// assert!(Memcached::new(config().max_in_flight(0)).is_err());
    /// ```
    #[must_use]
    pub const fn max_in_flight(mut self, operations: usize) -> Self {
        self.max_in_flight = operations;
        self
    }

    /// Sets how long an operation waits to be sent while others are in flight; one second by default.
    ///
    /// An operation that waits for longer is not sent: its call continues without the store, which is counted in
    /// [`Stats::overloaded`](crate::Stats::overloaded). Reads that are sent as one command with those of other
    /// calls wait twice: for the commands before them, and then as a command. When their turn comes after more than this
    /// time, they are not sent. So such a read ends within twice this time and one [`deadline`](Self::deadline).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// let config = MemcachedConfig::new("localhost").max_queue_wait(Duration::from_millis(200));
    /// assert!(Memcached::new(config).is_ok());
    /// ```
    #[must_use]
    pub const fn max_queue_wait(mut self, wait: Duration) -> Self {
        self.max_queue_wait = wait;
        self
    }

    /// Sets the rate at which large values must arrive, in bytes per second; 10 MB/s by default.
    ///
    /// An operation with a value above 256 KiB may take as long as its bytes take at this rate, in addition to the
    /// [`deadline`](Self::deadline); a read counts as large if the function has had such a value before. Reads and fills
    /// of large values use a connection of their own, so that others do not wait behind them. It must be at least 1 MB/s.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// let config = || MemcachedConfig::new("far.away");
    /// assert!(Memcached::new(config().min_transfer_rate(2_000_000)).is_ok());
    /// assert!(Memcached::new(config().min_transfer_rate(2_000)).is_err());
    /// ```
    #[must_use]
    pub const fn min_transfer_rate(mut self, bytes_per_second: u64) -> Self {
        self.min_transfer_rate = bytes_per_second;
        self
    }

    /// Sets the timeout of one attempt to connect: name resolution, connection and handshake; 200 ms by
    /// default.
    ///
    /// It must be between one millisecond and one hour. It does not extend the [`deadline`](MemcachedConfig::deadline) of
    /// an operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// let far = MemcachedConfig::new("far.away").connect_timeout(Duration::from_secs(1));
    /// assert!(Memcached::new(far).is_ok());
    /// ```
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the maximum size of a value, in bytes; 1 MiB less 1 KiB by default.
    ///
    /// It must be between 1 byte and 1 GiB. The limit of the server is 1 MiB for an item, including its
    /// header (up to 64 bytes) and its key (up to 250 bytes), unless it was started with `-I`. Sending a
    /// value beyond that limit would remove the old value, so it is not sent. The replies of the server do
    /// not contain the limit: set it here if the server was started with `-I`.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Memcached, MemcachedConfig};
    ///
    /// // The server was started with `-I 8m`.
    /// let large = MemcachedConfig::new("localhost").max_value_bytes(8 * 1024 * 1024 - 1024);
    /// assert!(Memcached::new(large).is_ok());
    /// ```
    #[must_use]
    pub const fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Sets the user and the password for a server with authentication (`memcached -Y`).
    ///
    /// They are sent in plain text. Both must be 1 to 255 bytes long, without spaces and control characters,
    /// and the user without a colon.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::MemcachedConfig;
    ///
    /// let config = MemcachedConfig::new("localhost").credentials("shop", "correct-horse");
    /// assert!(!format!("{config:?}").contains("horse"));
    /// ```
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { user: user.into(), password: password.into() });
        self
    }

    /// Validates the settings and returns the address.
    pub(super) fn validate(&self) -> Result<Address> {
        if self.prefix.len() > MAX_PREFIX {
            return Err(invalid("the memcached prefix is longer than 95 bytes"));
        }
        if !self.prefix.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(invalid("the memcached prefix is not printable ASCII without spaces"));
        }
        if !deadline::ALLOWED.contains(&self.deadline) {
            return Err(invalid("the memcached deadline must be between one millisecond and one hour"));
        }
        if !deadline::ALLOWED.contains(&self.connect_timeout) {
            return Err(invalid(
                "the memcached connect timeout must be between one millisecond and one hour",
            ));
        }
        if self.max_in_flight == 0 {
            return Err(invalid("the maximum number of memcached operations in flight must be at least 1"));
        }
        check_min_transfer_rate(self.min_transfer_rate)?;
        if self.max_value_bytes == 0 || self.max_value_bytes > MAX_ITEM_BYTES {
            return Err(invalid("the maximum size of a memcached value is not between 1 byte and 1 GiB"));
        }
        if let Some(Credentials { user, password }) = &self.credentials {
            let is_valid =
                |s: &str| !s.is_empty() && s.len() <= 255 && s.bytes().all(|b| b > b' ' && b != 127);
            if !is_valid(user) || !is_valid(password) || user.contains(':') {
                return Err(invalid(
                    "the memcached user or password is empty, too long, or contains a forbidden character",
                ));
            }
        }
        Address::parse(&self.server)
    }
}

impl fmt::Debug for MemcachedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `user:password@host` is an invalid server, but may be shown before it is validated.
        let server = self.server.rsplit_once('@').map_or(self.server.as_str(), |(_, host)| host);
        f.debug_struct("MemcachedConfig")
            .field("server", &server)
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_value_bytes", &self.max_value_bytes)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_queue_wait", &self.max_queue_wait)
            .field("min_transfer_rate", &self.min_transfer_rate)
            .field("credentials", &self.credentials.as_ref().map(|_| "(hidden)"))
            .finish()
    }
}

/// The user and the password; without `Debug`, so that they are not logged.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Address {
    fn parse(server: &str) -> Result<Self> {
        if server.contains([',', ';']) || server.split_whitespace().nth(1).is_some() {
            return Err(invalid(
                "one memcached server is supported, and several are configured: write one `host:port`, such as that \
                 of a proxy in front of them",
            ));
        }
        let path = server.strip_prefix("unix://").or_else(|| server.starts_with('/').then_some(server));
        if let Some(path) = path {
            if cfg!(not(unix)) {
                return Err(invalid("this platform has no unix sockets"));
            }
            if !path.starts_with('/') || path.len() == 1 {
                return Err(invalid("the path of the memcached socket is not absolute"));
            }
            return Ok(Self::Unix(Path::new(path).to_owned()));
        }

        let rest = match server.split_once("://") {
            Some(("memcached", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => {
                return Err(invalid(
                    "the scheme of the memcached server is neither memcached:// nor unix://",
                ));
            }
            None => server,
        };
        if rest.contains('@') {
            return Err(invalid(
                "the memcached user and password must be set by `credentials`, not in the address",
            ));
        }
        let (host, port) = split_port(rest)?;
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b)) {
            return Err(invalid("the memcached server is not host:port, a path, or a url of one"));
        }
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Follows a key in the name of its lock.
pub(super) const LOCK_SUFFIX: &str = ".l";

const DEFAULT_PORT: u16 = 11211;
/// The maximum length of a key on the server, in bytes.
const MAX_SERVER_KEY: usize = 250;
const MAX_PREFIX: usize = MAX_SERVER_KEY - Key::MAX_LEN - LOCK_SUFFIX.len();
/// The maximum item size that a server can be started with.
const MAX_ITEM_BYTES: usize = 1 << 30;
const DEFAULT_MAX_VALUE_BYTES: usize = (1 << 20) - (1 << 10);

/// Splits `host:port`, `host`, `[v6]:port`, `[v6]` or a bare `v6` into host and port.
fn split_port(text: &str) -> Result<(&str, u16)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, DEFAULT_PORT));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or_default())),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    match port.map(str::parse) {
        None => Ok((host, DEFAULT_PORT)),
        Some(Ok(port)) if port != 0 => Ok((host, port)),
        Some(_) => Err(invalid("the port of the memcached server is not a number from 1 to 65535")),
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn documented_addresses_are_accepted() {
        for (text, address) in [
            ("cache", tcp("cache", 11211)),
            ("cache.internal:11311", tcp("cache.internal", 11311)),
            ("memcached://cache:1", tcp("cache", 1)),
            ("memcached://cache/", tcp("cache", 11211)),
            ("127.0.0.1:2", tcp("127.0.0.1", 2)),
            ("::1", tcp("::1", 11211)),
            ("[::1]", tcp("::1", 11211)),
            ("memcached://[::1]:3", tcp("::1", 3)),
            ("/run/m.sock", Address::Unix("/run/m.sock".into())),
            ("unix:///run/m.sock", Address::Unix("/run/m.sock".into())),
        ] {
            assert_eq!(MemcachedConfig::new(text).validate().unwrap(), address, "{text}");
        }
    }

    #[test]
    fn invalid_settings_are_rejected() {
        let config = || MemcachedConfig::new("cache");
        for (config, why) in [
            (MemcachedConfig::new(""), "empty"),
            (MemcachedConfig::new(":1"), "no host"),
            (MemcachedConfig::new("cache:"), "no port"),
            (MemcachedConfig::new("cache:0"), "port 0"),
            (MemcachedConfig::new("cache:70000"), "port"),
            (MemcachedConfig::new("[::1]1"), "no colon"),
            (MemcachedConfig::new("a b"), "space"),
            (MemcachedConfig::new("a:1,b:2"), "several servers"),
            (MemcachedConfig::new("redis://cache"), "scheme"),
            (MemcachedConfig::new("memcached://u:p@cache"), "password in the address"),
            (MemcachedConfig::new("unix://run/m.sock"), "relative"),
            (MemcachedConfig::new("unix:///"), "root"),
            (config().prefix("a b"), "space in prefix"),
            (config().prefix("a\r\nflush_all\r\n"), "injection"),
            (config().prefix("é"), "not ascii"),
            (config().prefix("p".repeat(96)), "long prefix"),
            (config().deadline(Duration::ZERO), "deadline"),
            (config().deadline(Duration::MAX), "endless deadline"),
            (config().connect_timeout(Duration::ZERO), "connect timeout"),
            (config().connect_timeout(Duration::MAX), "endless connect timeout"),
            (config().min_transfer_rate(999_999), "transfer rate"),
            (config().max_value_bytes(0), "no value"),
            (config().max_value_bytes(usize::MAX), "any value"),
            (config().credentials("", "p"), "no user"),
            (config().credentials("u", "p p"), "space in password"),
            (config().credentials("u", "p\r\nflush_all"), "injection by password"),
        ] {
            assert_eq!(config.validate().unwrap_err().kind(), ErrorKind::Config, "{why}");
        }
        assert!(config().prefix("p".repeat(95)).validate().is_ok());
        assert_eq!(MAX_PREFIX, 95);
    }

    #[test]
    fn password_is_not_shown() {
        let config = MemcachedConfig::new("memcached://u:hunter2@cache").credentials("u", "hunter3");
        let shown = format!("{config:?} {:?}", config.validate());
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
