//! The store for Memcached.

mod backoff;
mod config;
mod connection;
mod connection_task;
mod granted;
mod handshake;
mod leases;
mod pending_replies;
mod protocol;
mod reservation;
mod results;
mod size_limit;
mod values;

use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use self::config::LOCK_SUFFIX;
pub use self::config::MemcachedConfig;
use self::connection::{BatchReply, Connections, Settings};
use self::granted::Granted;
use self::protocol::{Batch, Epoch, Reply, ServerKey};
use self::results::{array, protocol_violation};
use self::size_limit::SizeLimit;
use crate::store::deadline::{self, Elapsed};
use crate::store::traffic::Traffic;
use crate::{
    Acquired, BoxFuture, Error, ErrorKind, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch,
};

/// A store in Memcached 1.6 or later.
///
/// It uses the meta protocol, and the classic `get` for reads. It has one connection for each tokio runtime
/// that uses it, on which the operations of all tasks are pipelined. The connection is established with the
/// first operation. When it is lost, it is established again: immediately, and then after delays of 10 to 500
/// ms, during which operations fail immediately. Dropping the store closes its connections.
///
/// Reads and fills of values above 256 KiB use a second connection, established with the first of them, so that others do
/// not wait behind them. If it leads to another server, as it may behind a balancer, they use the first one.
///
/// # Differences to other stores
///
/// - Memcached counts whole seconds. A ttl or term is rounded up, so that neither a value nor a lease expires
///   early; it may expire up to two seconds late.
/// - A value larger than [`max_value_bytes`](MemcachedConfig::max_value_bytes) is rejected with
///   [`ErrorKind::TooLarge`] before it is sent, and the old value stays. If the limit of the server is lower,
///   the server rejects the value and removes the old one; from then on, values of this size and larger ones are
///   not sent, until another server is connected to.
/// - A value on the server that is much larger than [`max_value_bytes`](MemcachedConfig::max_value_bytes) is a
///   miss: its bytes are discarded as they arrive, and other operations go on.
/// - A [`put`](Store::put) that timed out may be in the buffers of a server that hangs. It then takes effect
///   when the server continues, after operations that were called later. A `fill` does not, because its lease
///   has ended if the key was changed.
/// - The server may evict a lease, which is then lost before its term.
///
/// # Errors
///
/// Every operation ends within [`MemcachedConfig::deadline`] after it was sent, or later by the time that its bytes take at
/// [`MemcachedConfig::min_transfer_rate`] if its value is large, and by up to a second if this process is too busy to see
/// the reply. Before that, it waits for a place in flight, for [`MemcachedConfig::max_queue_wait`] at most:
///
/// | [`ErrorKind`] | when |
/// |---|---|
/// | `Unreachable` | there is no connection, or it was lost |
/// | `Overloaded` | too many operations are in flight; this one was not sent |
/// | `Timeout` | there was no reply within the deadline; the operation may or may not have taken effect |
/// | `Rejected` | the server is out of memory or rejects the credentials |
/// | `TooLarge` | a value is larger than the limit |
/// | `Protocol` | the peer is not Memcached, or older than 1.6 |
/// | `Config` | the store is used outside of a tokio runtime, or the server keeps no versions (`-C`) |
///
/// # Panics
///
/// Operations panic in a runtime without the time or IO driver (see `enable_all` of its builder).
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
/// let store = Memcached::new(MemcachedConfig::new("127.0.0.1:1"))?; // No server listens there.
/// let error = store.get(&[Key::new("shop::user@1", &42)?]).await.unwrap_err();
/// assert!(error.is_unreachable());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Memcached {
    config: MemcachedConfig,
    connections: Connections,
    granted: Granted,
}

impl Memcached {
    /// Creates a store with these settings. It connects with the first operation, and needs no runtime
    /// before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a setting is invalid.
    ///
    /// # Examples
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
            address: config.validate()?,
            credentials: config.credentials.clone(),
            connect_timeout: config.connect_timeout,
            deadline: config.deadline,
            reply_timeout: config.deadline.saturating_mul(2).min(MAX_REPLY_TIMEOUT),
            min_transfer_rate: config.min_transfer_rate,
            max_value_bytes: config.max_value_bytes,
            max_in_flight: config.max_in_flight,
            max_queue_wait: config.max_queue_wait,
            size_limit: SizeLimit::unknown(),
        };
        Ok(Self { config, connections: Connections::new(settings), granted: Granted::default() })
    }

    fn server_key<'a>(&'a self, key: &'a Key) -> ServerKey<'a> {
        ServerKey { prefix: &self.config.prefix, key: key.as_bytes(), suffix: "" }
    }

    fn lock_key<'a>(&'a self, key: &'a Key) -> ServerKey<'a> {
        ServerKey { suffix: LOCK_SUFFIX, ..self.server_key(key) }
    }

    /// Runs a batch of commands without a large value.
    async fn run(&self, batch: Batch) -> Result<BatchReply> {
        self.run_for(Traffic::Write(0), batch).await
    }

    /// Runs a batch of commands of an operation.
    async fn run_for(&self, traffic: Traffic, batch: Batch) -> Result<BatchReply> {
        self.connections.run(traffic, batch, None).await?.ok_or_else(protocol_violation)
    }

    /// Runs a batch of `N` commands without a large value; returns `None` if the server was restarted since `epoch`.
    async fn run_in_epoch<const N: usize>(&self, epoch: Epoch, batch: Batch) -> Result<Option<[Reply; N]>> {
        let reply = self.connections.run(Traffic::Write(0), batch, Some(epoch)).await?;
        reply.map(|reply| array(reply.replies)).transpose()
    }

    /// Runs an operation within the deadline, which begins when it has a place.
    async fn within_deadline<T>(
        &self,
        traffic: Traffic,
        operation: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let connection = self.connections.of_current_runtime(traffic.lane())?;
        let _place = connection.shared.places.enter(traffic).await?;
        connection.shared.ticker.keep();
        let transfer_time = traffic.transfer_time(self.config.min_transfer_rate);
        let deadline = Instant::now() + self.config.deadline.saturating_add(transfer_time);
        deadline::within(deadline, pin!(operation)).await.unwrap_or_else(|Elapsed| {
            Err(Error::new(ErrorKind::Timeout, "memcached did not reply within the deadline"))
        })
    }

    /// Runs an operation without a large value within the deadline.
    async fn write<T>(&self, operation: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.within_deadline(Traffic::Write(0), operation).await
    }
}

impl Store for Memcached {
    fn entry_name(&self, key: &Key) -> String {
        format!("{}{key}", self.config.prefix)
    }

    fn time_limit(&self) -> Option<Duration> {
        None
    }

    fn max_queue_wait(&self) -> Duration {
        self.config.max_queue_wait
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
        let read = self.get_values(keys, expected_bytes);
        Box::pin(self.within_deadline(Traffic::Read(expected_bytes), read))
    }

    fn size_of<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<usize>> {
        Box::pin(self.within_deadline(Traffic::Size, self.size_of_value(key)))
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        // A value can only be compared by reading it.
        let traffic = match mode {
            LeaseMode::IfUnchanged(id) => Traffic::Acquire(id.size()),
            LeaseMode::IfAbsent | LeaseMode::Replace | LeaseMode::TakeOver => Traffic::Acquire(0),
        };
        Box::pin(self.within_deadline(traffic, self.acquire_lease(key, lease, term, mode)))
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.write(self.extend_lease(key, *lease, term)))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        let traffic = Traffic::Fill(value.len());
        let fill = async move { self.fill_leased(key, lease, &value, ttl).await };
        Box::pin(self.within_deadline(traffic, fill))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write(self.release_lease(key, lease, attempt)))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        let traffic = Traffic::Write(value.len());
        let put = async move { self.put_value(key, &value, ttl).await };
        Box::pin(self.within_deadline(traffic, put))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        let traffic = Traffic::Write(value.len());
        Box::pin(self.within_deadline(traffic, self.add_value(key, value, ttl)))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.write(self.remove_value(key)))
    }

    /// Memcached does not support notifications.
    fn watch<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// A bound so that adding it to an instant cannot overflow.
const MAX_REPLY_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Returns the expiration time of an item that is stored for `duration`, as the server takes it.
fn exptime(duration: Duration) -> i32 {
    // A clock before 1970 is wrong, and no date could be computed from it.
    let unix_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    protocol::exptime(duration, unix_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_outside_of_a_runtime_is_an_error() {
        let store = Memcached::new(MemcachedConfig::new("127.0.0.1:1")).unwrap();
        let mut future = store.get(&[]);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(Err(error)) => assert_eq!(error.kind(), ErrorKind::Config),
            other => panic!("{other:?}"),
        }
    }
}
