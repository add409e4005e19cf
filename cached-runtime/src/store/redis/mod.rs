//! Redis and Valkey as a store.

mod client_config;
mod config;
mod connection;
mod errors;
mod replies;
mod scripts;
mod session;
mod shared;
mod supervisor;
mod watchers;

use std::time::Duration;

use bytes::Bytes;
use fred::types::Value;

pub use self::config::RedisConfig;
use self::config::Topology;
use self::connection::Connection;
use self::watchers::LEASE_SUFFIX;
use crate::util::random::random;
use crate::{Acquired, BoxFuture, Error, ErrorKind, Key, Lease, LeaseMode, Result, Store, Watch};

/// Values in Redis 6.2 and later, or in Valkey.
///
/// A value lies at `prefix{key}` and its lease at `prefix{key}:l`, which a cluster keeps together. A read is one
/// `GET` or one `MGET`; in a cluster several keys are one `GET` each, sent at once. Everything else is a script
/// that the server knows by its digest. Who waits for a key that another process computes is told by the server when
/// it has changed (`CLIENT TRACKING`); in a cluster, and where the user may not have that, he asks again and again.
///
/// There is one connection for each tokio runtime that uses the store, made when first used there; the runtime
/// needs its time and IO drivers. It is watched by a task that reconnects, without limit and at least every
/// 500 ms, and that replaces the connection when the server went silent on it. While there is none, operations
/// fail at once with [`ErrorKind::Unreachable`]; only the very first ones of a runtime wait for it, within their
/// deadline. Dropping the store ends its tasks and closes its connections.
///
/// # Errors
///
/// Every operation ends within [`RedisConfig::deadline`]:
///
/// | [`ErrorKind`] | when |
/// |---|---|
/// | `Unreachable` | there is no connection, it broke, or the server is loading its data |
/// | `Timeout` | there was no answer within the deadline; whether the operation took effect is not known |
/// | `Refused` | the server is read-only, out of memory, or wants other credentials or permissions |
/// | `TooLarge` | a value is larger than 512 MiB, and was not sent |
/// | `Protocol` | something else than Redis answered |
/// | `Config` | it was called outside of a tokio runtime, or the URL names a cluster that is none |
///
/// # Cancellation
///
/// An operation whose future is dropped may or may not take effect; no later operation is given its answer.
///
/// # Examples
///
/// With a server:
///
/// ```no_run
/// use cached_runtime::{Key, Redis, RedisConfig, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// let store = Redis::new(RedisConfig::new("redis://localhost"))?;
/// let key = Key::new("greetings", "en")?;
/// store.put(&key, "hello".into(), None).await?;
/// assert_eq!(store.get(&[key]).await?, [Some("hello".into())]);
/// # Ok(())
/// # }
/// ```
///
/// And without one:
///
/// ```
/// use cached_runtime::{Key, Redis, RedisConfig, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// let store = Redis::new(RedisConfig::new("redis://127.0.0.1:1"))?; // Nobody listens there.
/// let error = store.get(&[Key::new("greetings", "en")?]).await.unwrap_err();
/// assert!(error.is_unreachable());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Redis {
    connection: Connection,
}

impl Redis {
    /// A store on the server that the settings name, which is not contacted before it is needed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a setting makes no sense, or the URL can not be understood. The URL and the
    /// password are no part of it.
    ///
    /// ```
    /// use cached_runtime::{ErrorKind, Redis, RedisConfig};
    ///
    /// assert!(Redis::new(RedisConfig::new("redis://localhost")).is_ok());
    ///
    /// let error = Redis::new(RedisConfig::new("localhost")).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    pub fn new(config: RedisConfig) -> Result<Self> {
        Ok(Self { connection: Connection::new(config.check()?) })
    }

    fn value_key(&self, key: &Key) -> Value {
        Value::from(format!("{}{{{key}}}", self.connection.settings().prefix))
    }

    fn keys(&self, key: &Key) -> [Value; 2] {
        let lease = format!("{}{{{key}}}{LEASE_SUFFIX}", self.connection.settings().prefix);
        [self.value_key(key), Value::from(lease)]
    }
}

impl Store for Redis {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        Box::pin(async move {
            let names = || keys.iter().map(|key| self.value_key(key)).collect();
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            self.connection
                .session(keys, async |session| match (keys, self.connection.settings().topology) {
                    ([_], _) => Ok(vec![replies::value(session.command("GET", names()).await?)?]),
                    (_, Topology::Single) => {
                        replies::values(session.command("MGET", names()).await?, keys.len())
                    }
                    (_, Topology::Cluster) => session.read_apart(names()).await?.into_iter().collect(),
                })
                .await
        })
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        term: Duration,
        over: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        Box::pin(async move {
            let lease = new_lease();
            let over = match over {
                LeaseMode::IfAbsent => "0",
                LeaseMode::Replace => "1",
            };
            let arguments = [scripts::token(lease), scripts::millis(term), Value::from_static_str(over)];
            let answer = self.run(&scripts::ACQUIRE, key, &arguments).await?;
            replies::acquired(answer, lease)
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let arguments = [scripts::token(*lease), scripts::millis(term)];
            replies::flag(&self.run(&scripts::EXTEND, key, &arguments).await?)
        })
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let arguments = [scripts::token(lease), sendable(value)?, scripts::millis(ttl)];
            replies::flag(&self.run(&scripts::FILL, key, &arguments).await?)
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let answer = self.run(&scripts::RELEASE, key, &[scripts::token(lease)]).await?;
            replies::flag(&answer).map(drop)
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut arguments = vec![sendable(value)?];
            arguments.extend(ttl.map(scripts::millis));
            replies::done(&self.run(&scripts::PUT, key, &arguments).await?)
        })
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            let mut arguments = vec![sendable(value.clone())?];
            arguments.extend(ttl.map(scripts::millis));
            let answer = self.run(&scripts::ADD, key, &arguments).await?;
            Ok(replies::value(answer)?.unwrap_or(value))
        })
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let keys = self.keys(key).into();
            let answer = self
                .connection
                .session(std::slice::from_ref(key), async |session| session.command("UNLINK", keys).await)
                .await?;
            replies::done(&answer)
        })
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        Box::pin(async move {
            if self.connection.settings().topology == Topology::Cluster {
                return Ok(None);
            }
            let keys = self.keys(key);
            let watched = self
                .connection
                .session(std::slice::from_ref(key), async |session| session.watch(keys).await)
                .await?;
            Ok(watched.map(|told| {
                Watch::new(async {
                    let _ = told.await; // An error tells as much: the connection is gone.
                })
            }))
        })
    }
}

impl Redis {
    async fn run(
        &self,
        script: &scripts::Script,
        key: &Key,
        arguments: &[Value],
    ) -> Result<fred::types::Resp3Frame> {
        let keys = self.keys(key);
        self.connection
            .session(std::slice::from_ref(key), async |session| session.script(script, keys, arguments).await)
            .await
    }
}

/// A number that no other lease has.
fn new_lease() -> Lease {
    let half = || u128::from(random());
    Lease::new(half() << 64 | half())
}

/// The value, unless the server would drop the connection over it.
fn sendable(value: Bytes) -> Result<Value> {
    const MOST: usize = 512 << 20;
    if value.len() > MOST {
        return Err(Error::new(ErrorKind::TooLarge, "the value is larger than redis takes"));
    }
    Ok(Value::Bytes(value))
}
