//! The store in a Memcached server.

mod backoff;
mod config;
mod connection;
mod connection_task;
mod handshake;
mod lease_token;
mod leases;
mod pending_replies;
mod protocol;
mod results;
mod values;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::timeout;

use self::config::LOCK_SUFFIX;
pub use self::config::MemcachedConfig;
use self::connection::{Answer, Server, Settings};
use self::protocol::{Epoch, Name, Reply, Script, seconds};
use self::results::{array, not_understood, too_large};
use crate::{Acquired, BoxFuture, Error, ErrorKind, Key, Lease, LeaseMode, Result, Store, Watch};

/// A store in a Memcached server, version 1.6 or newer.
///
/// It speaks the meta protocol, and reads by `get`, over one connection per runtime, on which the calls of all tasks are pipelined.
/// The connection is made by the first call, and made again by itself when it is lost: at once, then after pauses
/// from 10 to 500 ms. Meanwhile calls fail immediately. Dropping the store closes it.
///
/// # What is particular to Memcached
///
/// - Lifetimes are whole seconds there. They are rounded so that neither a value nor a lease goes early; it may
///   stay for up to two seconds more.
/// - An empty value means a reservation: [`put`](Store::put), [`fill`](Store::fill) and [`add`](Store::add)
///   refuse one with [`ErrorKind::Codec`].
/// - A value larger than [`max_value_bytes`](MemcachedConfig::max_value_bytes) is refused with
///   [`ErrorKind::TooLarge`] before it is sent, and what is stored stays. If the server's own limit is lower it
///   refuses as well, and what was stored is gone.
/// - A [`put`](Store::put) that timed out may still lie in the buffers of a server that hangs, and take effect when
///   it goes on, after calls that were made later. A `fill` can not: its lease is void by then if anything changed.
/// - The server evicts what it likes: a lease can be lost early, and is then an ordinary lost lease.
///
/// # Errors
///
/// [`ErrorKind::Unreachable`] if there is no connection or it was lost half way, [`ErrorKind::Timeout`] when the
/// [`deadline`](MemcachedConfig::deadline) has passed, [`ErrorKind::Rejected`] if the server is out of memory or
/// wants other credentials, [`ErrorKind::Protocol`] if what answers is not Memcached, and [`ErrorKind::Config`]
/// outside of a tokio runtime.
///
/// # Cancellation
///
/// Every future may be dropped at any time. What was not yet sent then never is, and what was sent is answered
/// into the void; no other call gets that answer. A lease that was won by a dropped call ends after its term.
///
/// # Panics
///
/// The calls need the timer and the input and output of the runtime (`enable_all`), as everything here does.
///
/// # Examples
///
/// With a server:
///
/// ```no_run
/// use std::time::Duration;
/// use cached_runtime::{Key, Memcached, MemcachedConfig, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// let store = Memcached::new(MemcachedConfig::new("cache.internal"))?;
/// let key = Key::new("shop::user@1", &42)?;
/// store.put(&key, "Ada".into(), Some(Duration::from_secs(60))).await?;
/// assert_eq!(store.get(&[key]).await?, [Some("Ada".into())]);
/// # Ok(())
/// # }
/// ```
///
/// And without one:
///
/// ```
/// use cached_runtime::{Key, Memcached, MemcachedConfig, Store as _};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// let store = Memcached::new(MemcachedConfig::new("127.0.0.1:1"))?; // Nobody listens there.
/// let error = store.get(&[Key::new("shop::user@1", &42)?]).await.unwrap_err();
/// assert!(error.is_unreachable());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Memcached {
    config: MemcachedConfig,
    server: Server,
}

impl Memcached {
    /// A store in the server that the configuration names. It dials nobody yet, and needs no runtime yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the server, the prefix or another setting makes no sense.
    ///
    /// ```
    /// use cached_runtime::{ErrorKind, Memcached, MemcachedConfig};
    ///
    /// assert!(Memcached::new(MemcachedConfig::new("localhost:11211")).is_ok());
    ///
    /// let error = Memcached::new(MemcachedConfig::new("localhost").prefix("two words")).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    pub fn new(config: MemcachedConfig) -> Result<Self> {
        let settings = Settings {
            address: config.check()?,
            credentials: config.credentials.clone(),
            connect_timeout: config.connect_timeout,
            stall: config.deadline.saturating_mul(2).min(LONGEST_STALL),
            max_value_bytes: config.max_value_bytes,
        };
        Ok(Self { config, server: Server::new(settings) })
    }

    fn check(&self, value: &[u8]) -> Result<()> {
        if value.is_empty() {
            return Err(Error::new(ErrorKind::Codec, "an empty value means a reservation to memcached"));
        }
        if value.len() > self.config.max_value_bytes {
            return Err(too_large());
        }
        Ok(())
    }

    fn name<'a>(&'a self, key: &'a Key) -> Name<'a> {
        Name { prefix: &self.config.prefix, key: key.as_str(), suffix: "" }
    }

    fn lock_name<'a>(&'a self, key: &'a Key) -> Name<'a> {
        Name { suffix: LOCK_SUFFIX, ..self.name(key) }
    }

    async fn run(&self, script: Script) -> Result<Answer> {
        self.server.run(script, None).await?.ok_or_else(not_understood)
    }

    /// `None` if the server was started anew since.
    async fn run_in<const N: usize>(&self, epoch: Epoch, script: Script) -> Result<Option<[Reply; N]>> {
        self.server.run(script, Some(epoch)).await?.map(|answer| array(answer.replies)).transpose()
    }

    async fn within<T>(&self, operation: impl Future<Output = Result<T>> + Send) -> Result<T> {
        if let Err(e) = Handle::try_current() {
            return Err(
                Error::new(ErrorKind::Config, "memcached was used outside of a tokio runtime").with_source(e)
            );
        }
        timeout(self.config.deadline, operation)
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "memcached did not answer in time")))
    }
}

impl Store for Memcached {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        Box::pin(self.within(self.read(keys)))
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        term: Duration,
        over: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        match over {
            LeaseMode::IfAbsent => Box::pin(self.within(self.reserve(key, term))),
            LeaseMode::Replace => Box::pin(self.within(self.lock(key, term))),
        }
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.within(self.prolong(key, *lease, term)))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.within(async move { self.store_leased(key, lease, &value, ttl).await }))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.within(self.give_back(key, lease)))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.within(async move { self.store_always(key, &value, ttl).await }))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(self.within(self.store_vacant(key, value, ttl)))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.within(self.delete(key)))
    }

    /// Memcached says nothing unasked.
    fn watch<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// Only so that no sum of times overflows.
const LONGEST_STALL: Duration = Duration::from_secs(60 * 60);

fn from_now(duration: Duration) -> i32 {
    // Before 1970 the clock is wrong, and then every date would be as well.
    let unix_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    seconds(duration, unix_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_of_a_runtime_there_is_an_error() {
        let store = Memcached::new(MemcachedConfig::new("127.0.0.1:1")).unwrap();
        let mut future = store.get(&[]);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
            other => panic!("{other:?}"),
        }
    }
}
