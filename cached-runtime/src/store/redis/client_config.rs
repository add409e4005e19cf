//! The configuration of the client of `fred`.

use std::fmt::Write as _;
use std::time::Duration;

use fred::error::ErrorKind as Cause;
use fred::types::config::{Config, ReconnectPolicy, ServerConfig, UnresponsiveConfig};
use fred::types::{Builder, RespVersion};

use crate::{Error, ErrorKind, Result};

/// The schemes that [`RedisConfig::new`](super::RedisConfig::new) documents.
const SCHEMES: [&str; 14] = [
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "redis+unix",
    "valkey",
    "valkeys",
    "valkey-cluster",
    "valkeys-cluster",
    "valkey-sentinel",
    "valkeys-sentinel",
    "valkey+unix",
];

/// Parses a URL. The error contains neither the URL nor a password.
pub(super) fn parse(url: &str) -> Result<Config> {
    let error = |what| Error::new(ErrorKind::Config, what);
    // fred treats an unknown scheme as `redis`, and connects to `rediss` without TLS if it is built without
    // TLS.
    let Some(scheme) = url.split_once("://").map(|(scheme, _)| scheme).filter(|s| SCHEMES.contains(s)) else {
        return Err(error(
            "the redis url must begin with a known scheme such as redis://, rediss:// or redis-cluster://",
        ));
    };
    let uses_tls = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
    if uses_tls && !cfg!(feature = "redis-tls") {
        return Err(error("a rediss:// url needs the feature `redis-tls` of `cached-runtime`"));
    }
    // The messages of fred may quote the URL, and with it the password; only those of the URL parser do not.
    let config = Config::from_url(url).map_err(|e| match e.kind() {
        Cause::Url => error("cannot parse the redis url").with_source(e.details().to_owned()),
        Cause::Config | Cause::Parse => error("the redis url has an invalid host, port, database or node"),
        _ => error("cannot use the redis url"),
    })?;
    if config.server.hosts().iter().any(|server| server.host.contains(',')) {
        return Err(error(
            "a redis url names one host: write other nodes of a cluster, and other sentinels, as \
             `redis-cluster://host:port?node=host:port&node=host:port`",
        ));
    }
    Ok(config)
}

/// Returns a user or a password in the form in which fred must have it: fred sends `HELLO` as one line, where the server
/// splits arguments at spaces unless they are quoted.
pub(super) fn inline_argument(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte)) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            // Writing into a `String` does not fail.
            _ => drop(write!(quoted, "\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns the addresses of the servers, for messages and logs.
pub(super) fn describe(server: &ServerConfig) -> String {
    if let ServerConfig::Unix { path } = server {
        return path.display().to_string();
    }
    let hosts: Vec<_> = server.hosts().iter().map(|s| format!("{}:{}", s.host, s.port)).collect();
    hosts.join(" ")
}

/// Returns the builder of the clients for these servers.
pub(super) fn builder(server: Config, deadline: Duration, connect_timeout: Duration) -> Builder {
    let is_cluster = server.server.is_clustered();
    let mut builder = Builder::from_config(server);
    builder.with_config(|config| {
        config.version = RespVersion::RESP3;
        // If this were set, a client whose first attempt fails could not be used again: its counters are
        // wrong then.
        config.fail_fast = false;
    });
    builder.with_performance_config(|performance| {
        performance.default_command_timeout = deadline;
        performance.broadcast_channel_capacity = 256;
    });
    builder.with_connection_config(|connection| {
        connection.connection_timeout = connect_timeout;
        connection.internal_command_timeout = connect_timeout;
        // A late reply is useless to a cache, so no command is sent twice.
        connection.max_command_attempts = 1;
        connection.tcp.nodelay = Some(true);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        {
            connection.tcp.user_timeout = Some(USER_TIMEOUT);
        }
        // This check wakes up at every interval, and misses an unresponsive peer while there is traffic,
        // because each write restarts it. The supervisor watches a single server better; but in a cluster,
        // only this check covers each connection.
        if is_cluster {
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(2 * deadline), interval: deadline };
        }
        // `max_command_buffer_len` stays 0, without a limit: once it is reached, the counter of fred is never
        // reset and nothing is sent any more.
    });
    builder.set_policy(ReconnectPolicy::Exponential {
        attempts: 0,
        max_attempts: 0,
        min_delay: 1,
        max_delay: MAX_RECONNECT_DELAY_MS,
        base: 2,
        jitter: 10,
    });
    builder
}

/// The maximum delay between attempts to connect, in milliseconds.
pub(super) const MAX_RECONNECT_DELAY_MS: u32 = 500;
/// How long sent data may stay unacknowledged before the kernel closes the connection (`TCP_USER_TIMEOUT`).
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(1);
