//! The settings as the client takes them.

use std::time::Duration;

use fred::error::ErrorKind as Cause;
use fred::types::config::{Config, ReconnectPolicy, ServerConfig, UnresponsiveConfig};
use fred::types::{Builder, RespVersion};

use crate::{Error, ErrorKind, Result};

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

pub(super) fn parse(url: &str) -> Result<Config> {
    let error = |what| Error::new(ErrorKind::Config, what);
    // fred takes any scheme for `redis`, and connects to `rediss` in the clear when it is built without TLS.
    let Some(scheme) = url.split_once("://").map(|(scheme, _)| scheme).filter(|s| SCHEMES.contains(s)) else {
        return Err(error(
            "the redis url must begin with redis://, rediss://, redis-cluster:// and the like",
        ));
    };
    let secure = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
    if secure && !cfg!(feature = "redis-tls") {
        return Err(error("a rediss:// url needs the feature `redis-tls` of `cached-runtime`"));
    }
    // What fred says may quote the URL, and with it the password; only the parser's own verdict does not.
    Config::from_url(url).map_err(|e| match e.kind() {
        Cause::Url => error("the redis url can not be parsed").with_source(e.details().to_owned()),
        Cause::Config | Cause::Parse => error("the redis url has a wrong host, port, database or node"),
        _ => error("the redis url can not be used"),
    })
}

pub(super) fn describe(server: &ServerConfig) -> String {
    if let ServerConfig::Unix { path } = server {
        return path.display().to_string();
    }
    let hosts: Vec<_> = server.hosts().iter().map(|s| format!("{}:{}", s.host, s.port)).collect();
    hosts.join(" ")
}

pub(super) fn builder(server: Config, deadline: Duration, connect_timeout: Duration) -> Builder {
    let is_cluster = server.server.is_clustered();
    let mut builder = Builder::from_config(server);
    builder.with_config(|config| {
        config.version = RespVersion::RESP3;
        // A client whose first attempt failed can not be used again, its counters are wrong.
        config.fail_fast = false;
    });
    builder.with_performance_config(|performance| {
        performance.default_command_timeout = deadline;
        performance.broadcast_channel_capacity = 256;
    });
    builder.with_connection_config(|connection| {
        connection.connection_timeout = connect_timeout;
        connection.internal_command_timeout = connect_timeout;
        // A cache that comes late is of no use: nothing is ever sent twice.
        connection.max_command_attempts = 1;
        connection.tcp.nodelay = Some(true);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        {
            connection.tcp.user_timeout = Some(USER_TIMEOUT);
        }
        // It wakes up all the time, and overlooks silence if there is traffic, as each write starts it anew. A
        // single server is watched by us; of a cluster only this looks at every connection by itself.
        if is_cluster {
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(2 * deadline), interval: deadline };
        }
        // `max_command_buffer_len` stays 0: once full, fred's counter never goes back, and nothing is flushed.
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

const MAX_RECONNECT_DELAY_MS: u32 = 500;
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(1);
