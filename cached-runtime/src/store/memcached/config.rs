//! Where a Memcached server is and how it is spoken to.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, ErrorKind, Key, Result};

/// Where the Memcached server is and how it is spoken to.
///
/// Nothing is checked and nothing is dialled before [`Memcached::new`](super::Memcached::new). Setters take and
/// return the configuration by value. `Debug` shows no password.
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
    pub(super) credentials: Option<Credentials>,
}

impl MemcachedConfig {
    /// A server: `host`, `host:port`, `memcached://host:port`, `/path/to.sock` or `unix:///path/to.sock`.
    ///
    /// The port is 11211 if none is given; a name is resolved anew on every dial. An IPv6 address with a port
    /// stands in brackets. A user and a password do not belong here, but into
    /// [`credentials`](MemcachedConfig::credentials).
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
            max_value_bytes: MAX_VALUE_BYTES,
            credentials: None,
        }
    }

    /// What every key begins with on the server; `cached:` by default, and it may be empty.
    ///
    /// Printable ASCII without spaces, and at most 95 bytes, so that no key exceeds the 250 bytes that
    /// Memcached takes. [`Memcached::new`](super::Memcached::new) refuses anything else.
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

    /// How long one operation of the store may take altogether, waiting for a connection included; 50 ms by
    /// default.
    ///
    /// A connection on which a command was not answered within twice this time is given up.
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

    /// How long one attempt to connect may take: the look-up of the name, the dial and the greeting; 200 ms by
    /// default.
    ///
    /// Nobody waits for it longer than the [`deadline`](MemcachedConfig::deadline).
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

    /// The size of the largest value that is sent, in bytes; 1 MiB less 1 KiB by default.
    ///
    /// The server counts its header (up to 64 bytes) and the key (up to 250 bytes) as part of the item, whose
    /// limit is 1 MiB unless it was started with `-I`. A set beyond that limit costs the transfer, and the old
    /// value as well, so that it is better not sent. The server does not reveal the limit in its replies: if it
    /// was started with `-I`, say so here.
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

    /// The user and the password for a server that asks for them (`memcached -Y`).
    ///
    /// They cross the network as they are.
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

    /// The address, once everything else is known to make sense.
    pub(super) fn check(&self) -> Result<Address> {
        if self.prefix.len() > MAX_PREFIX {
            return Err(wrong("the prefix of memcached keys is longer than 95 bytes"));
        }
        if !self.prefix.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong("the prefix of memcached keys is not printable ASCII without spaces"));
        }
        if self.deadline.is_zero() || self.connect_timeout.is_zero() {
            return Err(wrong("a deadline of zero leaves memcached no time to answer"));
        }
        if self.max_value_bytes == 0 || self.max_value_bytes > MAX_ITEM {
            return Err(wrong("the size of the largest memcached value is not between 1 byte and 1 GiB"));
        }
        if let Some(Credentials { user, password }) = &self.credentials {
            let plain = |s: &str| !s.is_empty() && s.len() <= 255 && s.bytes().all(|b| b > b' ' && b != 127);
            if !plain(user) || !plain(password) || user.contains(':') {
                return Err(wrong(
                    "the memcached user or password is empty, too long, or has a space or control character",
                ));
            }
        }
        Address::parse(&self.server)
    }
}

impl fmt::Debug for MemcachedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever wrote `user:password@host` gets an error, and still does not want to see it in a log.
        let server = self.server.rsplit_once('@').map_or(self.server.as_str(), |(_, host)| host);
        f.debug_struct("MemcachedConfig")
            .field("server", &server)
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_value_bytes", &self.max_value_bytes)
            .field("credentials", &self.credentials.as_ref().map(|_| "(hidden)"))
            .finish()
    }
}

/// Who we are to the server. Deliberately without `Debug`.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// What to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Address {
    fn parse(server: &str) -> Result<Self> {
        let path = server.strip_prefix("unix://").or_else(|| server.starts_with('/').then_some(server));
        if let Some(path) = path {
            if cfg!(not(unix)) {
                return Err(wrong("this platform has no unix sockets to reach memcached by"));
            }
            if !path.starts_with('/') || path.len() == 1 {
                return Err(wrong("the path of a memcached socket is not absolute"));
            }
            return Ok(Self::Unix(Path::new(path).to_owned()));
        }

        let rest = match server.split_once("://") {
            Some(("memcached", rest)) => rest.strip_suffix('/').unwrap_or(rest),
            Some(_) => {
                return Err(wrong("the scheme of a memcached server is neither memcached:// nor unix://"));
            }
            None => server,
        };
        if rest.contains('@') {
            return Err(wrong(
                "a memcached user and password belong into `credentials`, not into the address",
            ));
        }
        let (host, port) = split_port(rest)?;
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b)) {
            return Err(wrong("the memcached server is not host:port, a path, or a url of these"));
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

/// What stands behind a key on the server where it is leased over a value.
pub(super) const LOCK_SUFFIX: &str = ".l";

const PORT: u16 = 11211;
const MAX_WIRE_KEY: usize = 250;
const MAX_PREFIX: usize = MAX_WIRE_KEY - Key::MAX_LEN - LOCK_SUFFIX.len();
const MAX_ITEM: usize = 1 << 30;
const MAX_VALUE_BYTES: usize = (1 << 20) - (1 << 10);

/// `host:port`, `host`, `[v6]:port`, `[v6]` or a bare `v6`.
fn split_port(text: &str) -> Result<(&str, u16)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, PORT));
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
        None => Ok((host, PORT)),
        Some(Ok(port)) if port != 0 => Ok((host, port)),
        Some(_) => Err(wrong("the port of the memcached server is not a number from 1 to 65535")),
    }
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn every_way_to_name_a_server_is_understood() {
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
            assert_eq!(MemcachedConfig::new(text).check().unwrap(), address, "{text}");
        }
    }

    #[test]
    fn a_setting_that_makes_no_sense_is_refused() {
        let config = || MemcachedConfig::new("cache");
        for (config, why) in [
            (MemcachedConfig::new(""), "empty"),
            (MemcachedConfig::new(":1"), "no host"),
            (MemcachedConfig::new("cache:"), "no port"),
            (MemcachedConfig::new("cache:0"), "port 0"),
            (MemcachedConfig::new("cache:70000"), "port"),
            (MemcachedConfig::new("[::1]1"), "no colon"),
            (MemcachedConfig::new("a b"), "space"),
            (MemcachedConfig::new("redis://cache"), "scheme"),
            (MemcachedConfig::new("memcached://u:p@cache"), "password in the address"),
            (MemcachedConfig::new("unix://run/m.sock"), "relative"),
            (MemcachedConfig::new("unix:///"), "root"),
            (config().prefix("a b"), "space in prefix"),
            (config().prefix("a\r\nflush_all\r\n"), "injection"),
            (config().prefix("é"), "not ascii"),
            (config().prefix("p".repeat(96)), "long prefix"),
            (config().deadline(Duration::ZERO), "deadline"),
            (config().connect_timeout(Duration::ZERO), "connect timeout"),
            (config().max_value_bytes(0), "no value"),
            (config().max_value_bytes(usize::MAX), "any value"),
            (config().credentials("", "p"), "no user"),
            (config().credentials("u", "p p"), "space in password"),
            (config().credentials("u", "p\r\nflush_all"), "injection by password"),
        ] {
            assert_eq!(config.check().unwrap_err().kind(), ErrorKind::Config, "{why}");
        }
        assert!(config().prefix("p".repeat(95)).check().is_ok());
        assert_eq!(MAX_PREFIX, 95);
    }

    #[test]
    fn no_password_is_shown() {
        let config = MemcachedConfig::new("memcached://u:hunter2@cache").credentials("u", "hunter3");
        let shown = format!("{config:?} {:?}", config.check());
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
