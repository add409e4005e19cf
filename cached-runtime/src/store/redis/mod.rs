//! The store for Redis and Valkey.

mod batches;
mod client_config;
mod config;
mod connection;
mod connection_state;
mod errors;
mod names;
mod replies;
mod scripts;
mod sentinels;
mod server_ids;
mod session;
mod supervisor;
mod tracking;
mod watchers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::types::{Key as Name, Resp3Frame, Value};

use self::batches::{ScriptCall, size_of_all};
pub use self::config::RedisConfig;
use self::config::{Restarts, Settings, Topology};
use self::connection::Connections;
use self::scripts::{Batched, Script};
use self::session::Session;
use crate::store::LARGE_BYTES;
use crate::store::traffic::Traffic;
use crate::util::join_all;
use crate::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch,
};

/// A store in Redis 6.2 or later, or in Valkey.
///
/// A value is stored at `prefix{key}` and its lease at `prefix{key}:l`; the braces put both into the same slot of a cluster.
/// What changes a value or a lease is a script, which the server knows by its digest. The reply of a script repeats a random
/// number of the call, so that a reply that was lost, repeated or reordered on the way is noticed: no change is confirmed by
/// the reply to another command, and the connection is replaced.
///
/// These are not scripts: a read, which is one `GET` or one `MGET`, and in a cluster one `GET` for each key, sent at once;
/// the `SET` that stores a value above 256 KiB under a name of its own, before a script renames it; the `STRLEN` that asks
/// whether a value is large, after a read that missed its deadline; and what makes the server notify a caller that waits for
/// another process to compute a key (`CLIENT TRACKING`, `CLIENT CACHING`, `EXISTS`). In a cluster, or if the user lacks the
/// permission, such a caller polls. With [`RedisConfig::distrust_restarts`], reads of values up to 256 KiB, and the question
/// for the size, are scripts too.
///
/// The store has one connection for each tokio runtime that uses it, established with the first use, and one more for values
/// above 256 KiB, and for the question whether a value is that large; the runtime needs its time and IO drivers. A task
/// supervises the connection. It reconnects without limit, at least every 500 ms, and replaces the connection if the server
/// does not respond on it, or is not the primary any more by the answer of a sentinel, which it asks twice a second. Without
/// a connection, operations fail immediately with [`ErrorKind::Unreachable`]; only the first operations of a runtime wait for
/// it, for [`RedisConfig::connect_timeout`] at most, and the first large values for [`RedisConfig::max_queue_wait`] longer.
/// Dropping the store ends its tasks and closes its connections.
///
/// # Errors
///
/// Every operation ends within [`RedisConfig::deadline`] after it was sent, or later by the time that its bytes take at
/// [`RedisConfig::min_transfer_rate`] if its value is large, and by up to a second if this process is too busy to see the
/// reply. Before that, it waits for a place in flight, for [`RedisConfig::max_queue_wait`] at most. An operation on a lease
/// that is sent together with others first waits for those before it; with both waits it ends within twice
/// `max_queue_wait` and one deadline:
///
/// | [`ErrorKind`] | when |
/// |---|---|
/// | `Unreachable` | there is no connection, it was lost, or the server is loading its data |
/// | `Overloaded` | too many operations are in flight; this one was not sent |
/// | `Timeout` | there was no reply within the deadline; the operation may or may not have taken effect |
/// | `Rejected` | the server is read-only or out of memory, or rejects the credentials or a command |
/// | `TooLarge` | a value is larger than 512 MiB; it was not sent |
/// | `Protocol` | the peer is not Redis |
/// | `Config` | the store is used outside of a tokio runtime, or the URL names a cluster and the server is none |
///
/// # Cancel safety
///
/// An operation whose future is dropped may or may not take effect. Its reply is never taken for that of
/// another operation.
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
/// let store = Redis::new(RedisConfig::new("redis://127.0.0.1:1"))?; // No server listens there.
/// let error = store.get(&[Key::new("greetings", "en")?]).await.unwrap_err();
/// assert!(error.is_unreachable());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Redis {
    connections: Arc<Connections>,
}

impl Redis {
    /// Creates a store with these settings. It connects with the first operation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a setting or the URL is invalid. The error contains neither the URL nor the
    /// password.
    ///
    /// # Examples
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
        Ok(Self { connections: Arc::new(Connections::new(config.validate()?)) })
    }

    fn settings(&self) -> &Settings {
        self.connections.settings()
    }

    /// Runs a script on a key.
    async fn run(&self, script: &Script, key: &Key, arguments: &[Value]) -> Result<Resp3Frame> {
        let traffic = Traffic::Write(size_of_all(arguments));
        self.connections.run(traffic, script, std::slice::from_ref(key), arguments).await
    }

    /// As [`run`](Self::run), with the scripts of other calls if there are any.
    async fn run_batched(&self, script: Batched, key: &Key, arguments: Vec<Value>) -> Result<Resp3Frame> {
        // The keys of a batch may be in different slots. A larger value would delay the others of its batch.
        if self.settings().topology == Topology::Cluster || size_of_all(&arguments) > MAX_BATCHED_BYTES {
            let traffic = script.traffic(size_of_all(&arguments));
            return self
                .connections
                .run(traffic, script.alone(), std::slice::from_ref(key), &arguments)
                .await;
        }
        self.connections.run_batched(ScriptCall { script, key: key.clone(), arguments }).await
    }

    /// Stores a large value under another name, and then renames it if the lease is still held.
    ///
    /// The server copies the arguments of a script, and would answer nobody meanwhile.
    async fn fill_large(&self, key: &Key, lease: Lease, value: Bytes, ttl: Duration) -> Result<bool> {
        let traffic = Traffic::Fill(value.len());
        let value = value_argument(value)?;
        let (token, ttl) = (scripts::token(lease), scripts::millis(ttl));
        let staged = self.settings().staged_name(key, lease);
        self.connections
            .session(traffic, std::slice::from_ref(key), async |session| {
                session.set(Name::from(staged.clone()), value).await?;
                let names = |server: &str| {
                    let [value, lease] = self.settings().names(key, server);
                    vec![value, lease, Value::from(staged.as_str())]
                };
                let arguments = [token, ttl];
                replies::flag(
                    &session.script(&scripts::RENAME, self.settings().slot(key), names, &arguments).await?,
                )
            })
            .await
    }

    /// Reads keys of one server by a script, which compares the identity of the server.
    async fn read_by_script(&self, session: &Session<'_>, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(scripts::MAX_KEYS) {
            let slot = keys.first().map_or(0, |key| self.settings().slot(key));
            let names =
                |server: &str| keys.iter().map(|key| self.settings().value_name(key, server)).collect();
            let reply = session.script(&scripts::READ, slot, names, &[]).await?;
            values.extend(replies::values_of_script(reply, keys.len())?);
        }
        Ok(values)
    }

    /// Reads keys of one server, of which some may have large values, which a script would copy.
    ///
    /// The names contain the identity of the server, as it was known before. A script after the read confirms that the server
    /// is still the same, so the values are not from before a restart.
    async fn read_beside_script(&self, session: &Session<'_>, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        let slot = self.settings().slot(first);
        for _ in 0..MAX_READ_ATTEMPTS {
            let before = session.state.server_name(slot);
            let values = match &before {
                Some(server) => {
                    let name = |key| {
                        Name::from(self.settings().value_name(key, server).into_bytes().unwrap_or_default())
                    };
                    session.get_all(keys.iter().map(name).collect()).await?
                }
                None => Vec::new(),
            };
            session
                .script(&scripts::SIZE, slot, |server| vec![self.settings().value_name(first, server)], &[])
                .await?;
            if before.is_some() && session.state.server_name(slot) == before {
                return Ok(values);
            }
        }
        Err(Error::new(ErrorKind::Unreachable, "the redis server was replaced too often"))
    }
}

impl Store for Redis {
    fn entry_name(&self, key: &Key) -> String {
        format!("{}{{{key}}}", self.settings().prefix)
    }

    fn time_limit(&self) -> Option<Duration> {
        None
    }

    fn size_of<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            self.connections
                .session(Traffic::Size, std::slice::from_ref(key), async |session| {
                    match self.settings().restarts {
                        Restarts::Distrusted => {
                            let names = |server: &str| vec![self.settings().value_name(key, server)];
                            replies::size(
                                &session
                                    .script(&scripts::SIZE, self.settings().slot(key), names, &[])
                                    .await?,
                            )
                        }
                        Restarts::Trusted => {
                            let name = self.settings().value_name(key, "").into_bytes().unwrap_or_default();
                            session.length(Name::from(name)).await
                        }
                    }
                })
                .await
        })
    }

    fn max_queue_wait(&self) -> Duration {
        self.settings().max_queue_wait
    }

    fn is_known_down(&self) -> bool {
        self.connections.is_known_down()
    }

    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        self.get_large(keys, 0)
    }

    fn get_large<'a>(
        &'a self,
        keys: &'a [Key],
        expected_bytes: usize,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        Box::pin(async move {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let &Settings { topology, restarts, .. } = self.settings();
            self.connections
                .session(Traffic::Read(expected_bytes), keys, async |session| match (restarts, topology) {
                    (Restarts::Distrusted, Topology::Single) if expected_bytes > LARGE_BYTES => {
                        self.read_beside_script(session, keys).await
                    }
                    (Restarts::Distrusted, Topology::Single) => self.read_by_script(session, keys).await,
                    (Restarts::Distrusted, Topology::Cluster) => {
                        let read = |key| self.read_by_script(session, std::slice::from_ref(key));
                        let values: Result<Vec<_>> =
                            join_all(keys.iter().map(read)).await.into_iter().collect();
                        Ok(values?.into_iter().flatten().collect())
                    }
                    (Restarts::Trusted, Topology::Single) => {
                        session.get_all(self.settings().value_names(keys)).await
                    }
                    (Restarts::Trusted, Topology::Cluster) => {
                        session.get_each(self.settings().value_names(keys)).await?.into_iter().collect()
                    }
                })
                .await
        })
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        Box::pin(async move {
            let mut arguments = vec![scripts::token(lease), scripts::millis(term)];
            arguments.extend(scripts::replaced(mode));
            replies::acquired(self.run_batched(Batched::Acquire, key, arguments).await?)
        })
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let arguments = vec![scripts::token(*lease), scripts::millis(term)];
            replies::flag(&self.run_batched(Batched::Extend, key, arguments).await?)
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
            if value.len() > LARGE_BYTES {
                return self.fill_large(key, lease, value, ttl).await;
            }
            let arguments = vec![scripts::token(lease), Value::Bytes(value), scripts::millis(ttl)];
            replies::flag(&self.run_batched(Batched::Fill, key, arguments).await?)
        })
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let memory = scripts::millis(scripts::ATTEMPT_MEMORY);
            let arguments = vec![scripts::token(lease), scripts::attempt(attempt), memory];
            let reply = self.run_batched(Batched::Release, key, arguments).await?;
            replies::flag(&reply).map(drop)
        })
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut arguments = vec![value_argument(value)?];
            arguments.extend(ttl.map(scripts::millis));
            replies::done(&self.run(&scripts::PUT, key, &arguments).await?)
        })
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(async move {
            let mut arguments = vec![value_argument(value.clone())?];
            arguments.extend(ttl.map(scripts::millis));
            let reply = self.run(&scripts::ADD, key, &arguments).await?;
            Ok(replies::value(reply)?.unwrap_or(value))
        })
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { replies::done(&self.run(&scripts::REMOVE, key, &[]).await?) })
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        Box::pin(async move {
            if self.settings().topology == Topology::Cluster {
                return Ok(None);
            }
            let watched = self.connections.watch(key).await?;
            Ok(watched.map(|changed| {
                Watch::new(async {
                    let _ = changed.await; // Notifications close the channel; the result is an error then.
                })
            }))
        })
    }
}

/// Returns the value as an argument, unless it is so large that the server would close the connection.
fn value_argument(value: Bytes) -> Result<Value> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "the value is larger than redis accepts"));
    }
    Ok(Value::Bytes(value))
}

/// The maximum size of a string in Redis: 512 MiB (`proto-max-bulk-len`).
const MAX_VALUE_BYTES: usize = 512 << 20;

/// The size of the arguments, in bytes, up to which a script is run together with others.
const MAX_BATCHED_BYTES: usize = 64 << 10;

/// How often a large read is made while the server is found to be another one.
const MAX_READ_ATTEMPTS: usize = 4;
