//! Where the server is, and how long an operation may take.

use std::fmt;
use std::time::Duration;

use fred::types::Builder;

use super::client_config::{builder, describe, parse};
use crate::{Error, ErrorKind, Result};

/// The settings of a [`Redis`](crate::Redis) store.
///
/// Nothing is checked here and nothing is connected; [`Redis::new`](crate::Redis::new) checks. Its `Debug` shows
/// neither passwords nor the URL that they may be part of.
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
}

impl RedisConfig {
    /// The server at a URL.
    ///
    /// | URL | is |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/db]` | one server |
    /// | `redis-cluster://host[:port]?node=host:port&node=host:port` | a cluster, of which some nodes are named |
    /// | `redis-sentinel://host[:port]?node=host:port&sentinelServiceName=name` | the primary that the sentinels name |
    /// | `redis+unix:///path/of/the/socket` | a socket of this machine |
    ///
    /// `valkey` may stand for `redis`, and `rediss` or `valkeys` mean TLS, which is the feature `redis-tls`. User
    /// and password are percent-encoded.
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
            max_in_flight: 4096,
        }
    }

    /// The user and the password, in place of those in the URL. An empty `user` is the server's default user.
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

    /// What every key on the server begins with; `cached:` if not set. It may not contain braces.
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

    /// How long one operation may take, everything included, before it is an error; 50 ms if not set.
    ///
    /// From one millisecond to one hour. When it was missed, and the server says nothing for twice as long again,
    /// the connection is replaced: choose a deadline that a healthy server keeps.
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

    /// How long a connection may take to be made and to be greeted, each; 200 ms if not set.
    ///
    /// From one millisecond to one hour. It happens in the background and does not extend the
    /// [`deadline`](Self::deadline) of an operation.
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

    /// How many operations of one tokio runtime may be under way at once; 4096 if not set.
    ///
    /// Further ones wait for their turn within their own deadline.
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

    pub(super) fn check(self) -> Result<Settings> {
        let config = |what| Err(Error::new(ErrorKind::Config, what));
        let range = Duration::from_millis(1)..=Duration::from_secs(3600);
        if !range.contains(&self.deadline) {
            return config("the deadline of redis must be between one millisecond and one hour");
        }
        if !range.contains(&self.connect_timeout) {
            return config("the connect timeout of redis must be between one millisecond and one hour");
        }
        if self.max_in_flight == 0 {
            return config("at least one redis operation must be allowed in flight");
        }
        if self.prefix.contains(['{', '}']) {
            return config(
                "the redis prefix must not contain braces, they decide where a cluster keeps a key",
            );
        }

        let mut server = parse(&self.url)?;
        if let Some((user, password)) = self.credentials {
            server.username = Some(user).filter(|user| !user.is_empty());
            server.password = Some(password);
        }
        Ok(Settings {
            topology: if server.server.is_clustered() { Topology::Cluster } else { Topology::Single },
            servers: describe(&server.server),
            password: server.password.clone().filter(|password| !password.is_empty()),
            builder: builder(server, self.deadline, self.connect_timeout),
            prefix: self.prefix,
            deadline: self.deadline,
            connect_timeout: self.connect_timeout,
            max_in_flight: self.max_in_flight,
        })
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = parse(&self.url).map_or_else(|_| "unreadable".to_owned(), |c| describe(&c.server));
        f.debug_struct("RedisConfig")
            .field("servers", &servers)
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

/// Settings that are known to make sense.
pub(super) struct Settings {
    pub(super) builder: Builder,
    pub(super) topology: Topology,
    /// For people; without credentials.
    pub(super) servers: String,
    /// So that it can be kept out of what is shown to people.
    pub(super) password: Option<String>,
    pub(super) prefix: String,
    pub(super) deadline: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) max_in_flight: usize,
}

/// Whether keys may lie on different servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topology {
    Single,
    Cluster,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: RedisConfig) -> Error {
        config.check().err().expect("the settings are wrong")
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let config = || RedisConfig::new("redis://localhost");
        for config in [
            config().deadline(Duration::ZERO),
            config().deadline(Duration::MAX),
            config().connect_timeout(Duration::ZERO),
            config().max_in_flight(0),
            config().prefix("{}"),
            RedisConfig::new(""),
            RedisConfig::new("localhost:6379"),
            RedisConfig::new("http://localhost:6379"),
            RedisConfig::new("redis://"),
            RedisConfig::new("redis://localhost/one"),
            RedisConfig::new("redis://localhost:123456"),
            RedisConfig::new("redis-sentinel://localhost"),
            RedisConfig::new("redis-cluster://localhost?node=x"),
        ] {
            assert_eq!(refused(config).kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn the_urls_that_are_promised_are_understood() {
        for (url, topology, servers) in [
            ("redis://u:p@localhost", Topology::Single, "localhost:6379"),
            ("valkey://:p@127.0.0.1:1/15", Topology::Single, "127.0.0.1:1"),
            ("redis://[::1]:1", Topology::Single, "[::1]:1"),
            ("redis+unix:///tmp/redis.sock", Topology::Single, "/tmp/redis.sock"),
            ("redis-cluster://a:1?node=b:2", Topology::Cluster, "b:2 a:1"),
            ("redis-sentinel://a?node=b:2&sentinelServiceName=m", Topology::Single, "b:2 a:26379"),
        ] {
            let settings = RedisConfig::new(url).check().unwrap();
            assert_eq!((settings.topology, settings.servers.as_str()), (topology, servers));
        }
    }

    #[test]
    fn a_password_is_shown_nowhere_even_if_the_url_is_wrong() {
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
            let shown = [format!("{config:?}"), format!("{:?}", config.check().err())];
            assert!(!shown.concat().contains("s3cret"), "{shown:?}");
        }
    }

    #[test]
    #[cfg(feature = "redis-tls")]
    fn tls_is_asked_for_by_the_scheme() {
        for url in ["rediss://localhost", "valkeys-cluster://localhost"] {
            let settings = RedisConfig::new(url).check().unwrap();
            assert!(settings.builder.get_config().unwrap().uses_tls());
        }
    }

    #[test]
    #[cfg(not(feature = "redis-tls"))]
    fn tls_without_its_feature_is_not_silently_left_out() {
        assert!(refused(RedisConfig::new("rediss://localhost")).to_string().contains("`redis-tls`"));
    }
}
