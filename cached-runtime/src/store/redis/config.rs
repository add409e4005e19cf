//! The settings of a Redis store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fred::types::Builder;

use super::client_config::{builder, describe, inline_argument, parse};
use super::sentinels::Sentinels;
use crate::store::deadline;
use crate::store::traffic::{DEFAULT_MIN_TRANSFER_RATE, check_min_transfer_rate};
use crate::{Error, ErrorKind, Result};

/// The settings of a [`Redis`](crate::Redis) store.
///
/// The settings are checked by [`Redis::new`](crate::Redis::new). `Debug` shows neither the password nor the
/// URL, which may contain it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use cached_runtime::RedisConfig;
///
/// let config = RedisConfig::new("redis://cache.internal:6379/2")
///     .credentials("shop", "correct horse")
///     .prefix("shop:")
///     .deadline(Duration::from_millis(20))
///     .connect_timeout(Duration::from_millis(100))
///     .max_in_flight(1000);
/// assert!(!format!("{config:?}").contains("horse"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisConfig {
    url: String,
    credentials: Option<(String, String)>,
    prefix: String,
    deadline: Duration,
    connect_timeout: Duration,
    max_in_flight: usize,
    max_queue_wait: Duration,
    min_transfer_rate: u64,
    restarts: Restarts,
}

impl RedisConfig {
    /// Creates settings for the server at a URL.
    ///
    /// | URL | server |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/db]` | one server |
    /// | `redis-cluster://host[:port]?node=host:port&node=host:port` | a cluster, by some of its nodes |
    /// | `redis-sentinel://host[:port]?node=host:port&sentinelServiceName=name` | the primary that the sentinels elect |
    /// | `redis+unix:///path/of/the/socket` | a Unix socket |
    ///
    /// The scheme may be `valkey` instead of `redis`. With `rediss` or `valkeys` the connection uses TLS,
    /// which requires the feature `redis-tls`. User and password are percent-encoded. The default port is
    /// 6379, and 26379 for a sentinel.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// for url in [
    ///     "redis://localhost",
    ///     "redis-cluster://a:7000?node=b:7000&node=c:7000",
    ///     "redis-sentinel://a:26379?node=b:26379&sentinelServiceName=cache",
    ///     "valkey+unix:///run/valkey.sock",
    /// ] {
    ///     assert!(Redis::new(RedisConfig::new(url)).is_ok());
    /// }
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            prefix: "cached:".to_owned(),
            deadline: Duration::from_millis(50),
            connect_timeout: Duration::from_millis(200),
            max_in_flight: 128,
            max_queue_wait: Duration::from_secs(1),
            min_transfer_rate: DEFAULT_MIN_TRANSFER_RATE,
            restarts: Restarts::Trusted,
        }
    }

    /// Sets the user and the password, which replace those in the URL.
    ///
    /// An empty `user` is the server's default user. If both are empty, the client does not authenticate (no
    /// `AUTH` is sent), as with an empty password in the URL.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::RedisConfig;
    ///
    /// let config = RedisConfig::new("redis://cache.internal").credentials("", "correct horse");
    /// assert!(!format!("{config:?}").contains("horse"));
    /// ```
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Sets the prefix of every key on the server; `cached:` by default. It must not contain braces.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// let config = || RedisConfig::new("redis://cache.internal");
    /// assert!(Redis::new(config().prefix("shop:")).is_ok());
    /// assert!(Redis::new(config().prefix("{shop}:")).is_err());
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the deadline of one operation, from when it is sent; 50 ms by default.
    ///
    /// Before that, the operation may wait for a place ([`max_in_flight`](Self::max_in_flight)). The deadline must be
    /// between one millisecond and one hour. If an operation misses the deadline, and the server does not respond within
    /// twice the deadline either, the connection is replaced. Choose a deadline that a healthy server keeps.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// let config = || RedisConfig::new("redis://cache.internal");
    /// assert!(Redis::new(config().deadline(Duration::from_millis(20))).is_ok());
    /// assert!(Redis::new(config().deadline(Duration::ZERO)).is_err());
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the timeout of connecting, and that of the handshake; 200 ms by default.
    ///
    /// It must be between one millisecond and one hour. Connections are made in the background, so this does
    /// not extend the [`deadline`](Self::deadline) of an operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// let far = RedisConfig::new("redis://far.away").connect_timeout(Duration::from_secs(1));
    /// assert!(Redis::new(far).is_ok());
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the maximum number of operations in flight; 128 by default.
    ///
    /// Reads, requests for leases, and all other operations are counted apart, each for every tokio runtime and for each of
    /// its connections: large values have one of their own. It must be at least 1. Further operations wait, see
    /// [`max_queue_wait`](Self::max_queue_wait). Operations of several calls that are sent as one command count as one.
    /// Choose a number that the server answers within the [`deadline`](Self::deadline).
    ///
    /// A write counts as several if its value is large: as all of them, if the value has 1 MiB or more.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// let config = || RedisConfig::new("redis://cache.internal");
    /// assert!(Redis::new(config().max_in_flight(100)).is_ok());
    /// assert!(Redis::new(config().max_in_flight(0)).is_err());
    /// ```
    pub fn max_in_flight(mut self, operations: usize) -> Self {
        self.max_in_flight = operations;
        self
    }

    /// Sets how long an operation waits to be sent while others are in flight; one second by default.
    ///
    /// An operation that waits for longer is not sent: its call continues without the store, which is counted in
    /// [`Stats::overloaded`](crate::Stats::overloaded). Reads, and operations on leases, that are sent as one
    /// command with those of other calls wait twice: for the commands before them, and then as a command. When their turn
    /// comes after more than this time, they are not sent. So such an operation ends within twice this time and one
    /// [`deadline`](Self::deadline).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// let config = RedisConfig::new("redis://cache.internal").max_queue_wait(Duration::from_millis(200));
    /// assert!(Redis::new(config).is_ok());
    /// ```
    pub fn max_queue_wait(mut self, wait: Duration) -> Self {
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
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// let far = RedisConfig::new("redis://far.away").min_transfer_rate(2_000_000);
    /// assert!(Redis::new(far).is_ok());
    /// ```
    pub fn min_transfer_rate(mut self, bytes_per_second: u64) -> Self {
        self.min_transfer_rate = bytes_per_second;
        self
    }

    /// Uses no value from before a restart of the server, or from before it became the primary.
    ///
    /// A server that is restarted from a snapshot, or a replica that is promoted, may have values that were
    /// invalidated. With this setting, the name of every key contains an identity of the server process that has it
    /// (its `run_id` and its replication id), and every operation compares it. So the cache is cold after a restart,
    /// after a failover, and once when a server gets its first replica; values that such a server brought back are
    /// never used, and expire. All programs that share the values must have the same setting.
    ///
    /// Every operation is a script that calls `INFO`, which costs the server a few more microseconds, and the user
    /// needs the permission for it (`+info`). Off by default. See
    /// [what a server may take back](crate::guide::what_a_server_may_take_back).
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::{Redis, RedisConfig};
    ///
    /// assert!(Redis::new(RedisConfig::new("redis://cache.internal").distrust_restarts()).is_ok());
    /// ```
    pub fn distrust_restarts(mut self) -> Self {
        self.restarts = Restarts::Distrusted;
        self
    }

    /// Validates the settings.
    pub(super) fn validate(self) -> Result<Settings> {
        let config = |what| Err(Error::new(ErrorKind::Config, what));
        if !deadline::ALLOWED.contains(&self.deadline) {
            return config("the redis deadline must be between one millisecond and one hour");
        }
        if !deadline::ALLOWED.contains(&self.connect_timeout) {
            return config("the redis connect timeout must be between one millisecond and one hour");
        }
        if self.max_in_flight == 0 {
            return config("the maximum number of redis operations in flight must be at least 1");
        }
        check_min_transfer_rate(self.min_transfer_rate)?;
        if self.prefix.contains(['{', '}']) {
            return config(
                "the redis prefix must not contain braces, which determine the slot of a key in a cluster",
            );
        }

        let mut server = parse(&self.url)?;
        if let Some((user, password)) = self.credentials {
            // A user without a password may be one that needs none; the server wants an `AUTH` all the same.
            server.password = Some(password).filter(|password| !password.is_empty() || !user.is_empty());
            server.username = Some(user).filter(|user| !user.is_empty());
        } else if server.password.as_ref().is_none_or(String::is_empty) {
            (server.username, server.password) = (None, None);
        }
        let passwords = server.password.iter().flat_map(|p| [p.clone(), inline_argument(p)]).collect();
        server.username = server.username.as_deref().map(inline_argument);
        server.password = server.password.as_deref().map(inline_argument);
        Ok(Settings {
            topology: if server.server.is_clustered() { Topology::Cluster } else { Topology::Single },
            servers: describe(&server.server),
            passwords,
            sentinels: Sentinels::new(&server, self.deadline, self.connect_timeout).map(Arc::new),
            builder: builder(server, self.deadline, self.connect_timeout),
            prefix: self.prefix,
            deadline: self.deadline,
            connect_timeout: self.connect_timeout,
            max_in_flight: self.max_in_flight,
            max_queue_wait: self.max_queue_wait,
            min_transfer_rate: self.min_transfer_rate,
            restarts: self.restarts,
        })
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = parse(&self.url).map_or_else(|_| "(invalid url)".to_owned(), |c| describe(&c.server));
        f.debug_struct("RedisConfig")
            .field("servers", &servers)
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_queue_wait", &self.max_queue_wait)
            .field("min_transfer_rate", &self.min_transfer_rate)
            .field("restarts", &self.restarts)
            .finish_non_exhaustive()
    }
}

/// Validated settings.
pub(super) struct Settings {
    pub(super) builder: Builder,
    /// How to ask which server is the primary, if the URL names sentinels.
    pub(super) sentinels: Option<Arc<Sentinels>>,
    pub(super) topology: Topology,
    /// The addresses, for messages and logs; without credentials.
    pub(super) servers: String,
    /// The password as it is and as it is sent, so that messages that contain it are not shown.
    pub(super) passwords: Vec<String>,
    pub(super) prefix: String,
    pub(super) deadline: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) max_in_flight: usize,
    pub(super) max_queue_wait: Duration,
    /// In bytes per second.
    pub(super) min_transfer_rate: u64,
    pub(super) restarts: Restarts,
}

/// Whether a server that was restarted or promoted may return values from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restarts {
    Trusted,
    Distrusted,
}

/// Whether keys are on one server or distributed over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topology {
    Single,
    Cluster,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(config: RedisConfig) -> Error {
        config.validate().err().expect("the settings are invalid")
    }

    #[test]
    fn invalid_settings_are_rejected() {
        let config = || RedisConfig::new("redis://localhost");
        for config in [
            config().deadline(Duration::ZERO),
            config().deadline(Duration::MAX),
            config().connect_timeout(Duration::ZERO),
            config().max_in_flight(0),
            config().min_transfer_rate(999_999),
            config().prefix("{}"),
            RedisConfig::new(""),
            RedisConfig::new("localhost:6379"),
            RedisConfig::new("http://localhost:6379"),
            RedisConfig::new("redis://"),
            RedisConfig::new("redis://localhost/one"),
            RedisConfig::new("redis://localhost:123456"),
            RedisConfig::new("redis-sentinel://localhost"),
            RedisConfig::new("redis-cluster://localhost?node=x"),
            RedisConfig::new("redis-cluster://one,two,three"),
            RedisConfig::new("redis-cluster://one:1,two:2"),
        ] {
            assert_eq!(error_of(config).kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn documented_urls_are_accepted() {
        for (url, topology, servers) in [
            ("redis://u:p@localhost", Topology::Single, "localhost:6379"),
            ("valkey://:p@127.0.0.1:1/15", Topology::Single, "127.0.0.1:1"),
            ("redis://[::1]:1", Topology::Single, "[::1]:1"),
            ("redis+unix:///tmp/redis.sock", Topology::Single, "/tmp/redis.sock"),
            ("redis-cluster://a:1?node=b:2", Topology::Cluster, "b:2 a:1"),
            ("redis-sentinel://a?node=b:2&sentinelServiceName=m", Topology::Single, "b:2 a:26379"),
        ] {
            let settings = RedisConfig::new(url).validate().unwrap();
            assert_eq!((settings.topology, settings.servers.as_str()), (topology, servers));
        }
    }

    #[test]
    fn password_is_not_shown_even_if_the_url_is_invalid() {
        for url in [
            "redis://user:s3cret@localhost:6379",
            "redis://user:s3cret@localhost:x",
            "redis://user:s3cret@local host",
            "redis://user:s3cret@localhost/s3cret",
            "redis-cluster://localhost?node=user:s3cret@localhost:1",
            "s3cret",
            "http://user:s3cret@localhost",
            "rediss://user:s3cret@localhost:x",
        ] {
            let config = RedisConfig::new(url).credentials("user", "s3cret");
            let shown = [format!("{config:?}"), format!("{:?}", config.validate().err())];
            assert!(!shown.concat().contains("s3cret"), "{shown:?}");
        }
    }

    #[test]
    #[cfg(feature = "redis-tls")]
    fn scheme_enables_tls() {
        for url in ["rediss://localhost", "valkeys-cluster://localhost"] {
            let settings = RedisConfig::new(url).validate().unwrap();
            assert!(settings.builder.get_config().unwrap().uses_tls());
        }
    }

    #[test]
    #[cfg(not(feature = "redis-tls"))]
    fn tls_without_its_feature_is_an_error() {
        assert!(error_of(RedisConfig::new("rediss://localhost")).to_string().contains("`redis-tls`"));
    }
}
