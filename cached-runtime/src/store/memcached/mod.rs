//! The store in a Memcached server.
//!
//! Leases rest on two things that Memcached does atomically: it gives an item another version (its "cas unique")
//! with every change, and it stores on the condition that the version is still a given one. A lease is the
//! version of what lies under the key, and `fill` a store on that condition; so whatever else changes the key
//! voids the lease, without knowing of it.
//!
//! # A lease over nothing
//!
//! `mg <key> v c N<seconds>` returns the value, or leaves an empty item that expires by itself and tells exactly
//! one caller that it won (`W`). The lease is the version of that reservation. A holder that died is replaced
//! when the reservation has expired: the next one has another version.
//!
//! # A lease over a value
//!
//! Here nothing can be left under the key itself: Memcached's own early refresh (`R`, `X`) gives the right to
//! refresh once, and never again when the winner dies. So the right is a second item, the lock, which is added
//! (`ms <key>.l … ME`) in the same round trip that reads the value, and which expires by itself. Its winner then
//! gives the value a new version, by appending nothing to it on the condition that it is still the one just
//! read. The lease is that new version together with the version of the lock. What may happen meanwhile:
//!
//! - *Two callers*: one adds the lock, the other is told that somebody is busy, and by the version of the lock who.
//! - *The value is replaced or removed between the read and the append*: the append fails; the lock is given
//!   back, and the caller is told what lies there now, without a lease.
//! - *The value is replaced, removed, evicted or expires later*: its version is gone, and `fill` stores nothing.
//! - *The holder dies*: its lock expires, and `fill` looks for the lock first. The next one renews the version, so
//!   that a holder who was held up between that look and the store can not fill either.
//! - *The key has a reservation*: somebody holds the lease over nothing; the lock is given back.
//! - *The key has nothing*: the same command leaves a reservation, and the lease is an ordinary one.
//! - *`put` and `remove`* delete the lock after they changed the key, so that the next lease can be had at once.
//!   Should that hit the lock of a holder that came in between, two may compute, of whom the last can fill.
//!
//! # After a restart
//!
//! Versions count from 1 after every start of the server, so that a lease from before could fit an item from
//! after it. Every lease therefore carries the epoch of the server, which is asked for when it is dialled.

mod config;
mod connection;
mod protocol;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::time::timeout;

use self::config::LOCK_SUFFIX;
pub use self::config::MemcachedConfig;
use self::connection::{Answer, Server, Settings};
use self::protocol::{Epoch, Name, Reply, Script, When, seconds};
use crate::{Acquired, BoxFuture, Error, ErrorKind, Key, Lease, LeaseId, LeaseMode, Result, Store, Watch};

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

    async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let read = |script: Script, keys: &[Key]| script.read(keys.iter().map(|key| self.name(key)));
        // All keys are on one server; with several, the keys are split by it and the answers joined.
        let answer = self.run(keys.chunks(MOST_KEYS).fold(Script::new(), read)).await?;
        let mut values = Vec::with_capacity(keys.len());
        for reply in answer.replies {
            match reply {
                Reply::Values(found) => values.extend(found.into_iter().map(unless_reserved)),
                other => return Err(refused(&other)),
            }
        }
        Ok(values)
    }

    async fn reserve(&self, key: &Key, term: Duration) -> Result<Acquired> {
        let answer = self.run(Script::new().read_or_reserve(self.name(key), from_now(term))).await?;
        let epoch = answer.epoch;
        let [reply] = array(answer.replies)?;
        let (value, version, won) = item_of(reply)?;
        Ok(match value {
            Some(value) => Acquired { value: Some(value), lease: None, holder: None },
            None => reserved(epoch, version, won),
        })
    }

    async fn lock(&self, key: &Key, term: Duration) -> Result<Acquired> {
        let (name, lock) = (self.name(key), self.lock_name(key));
        let seconds = from_now(term);
        let script = Script::new()
            .store(lock, LOCKED, seconds, When::Vacant)
            .read_version(lock)
            .read_or_reserve(name, seconds);
        let Answer { epoch, replies } = self.run(script).await?;
        let [locked, lock, reply] = array(replies)?;
        let locked = match locked {
            Reply::Done { version } => Some(version),
            Reply::NotStored => None,
            other => return Err(refused(&other)),
        };
        let (value, version, won) = item_of(reply)?;

        match (value, locked) {
            (Some(value), None) => {
                let holder = match lock {
                    Reply::Done { version } => Some(holder(epoch, version)),
                    Reply::Miss => None, // It went in this very moment.
                    other => return Err(refused(&other)),
                };
                Ok(Acquired { value: Some(value), lease: None, holder })
            }
            (Some(value), Some(lock)) => self.renew(key, epoch, value, version, lock).await,
            (None, locked) => {
                if let Some(lock) = locked {
                    self.unlock(key, epoch, lock).await?;
                }
                Ok(reserved(epoch, version, won))
            }
        }
    }

    /// The last step to a lease over a value, for whoever has the lock.
    async fn renew(
        &self,
        key: &Key,
        epoch: Epoch,
        value: Bytes,
        version: u64,
        lock: u64,
    ) -> Result<Acquired> {
        let script = Script::new().renew_version(self.name(key), version);
        let Some([reply]) = self.run_in(epoch, script).await? else {
            return Ok(Acquired { value: None, lease: None, holder: None });
        };
        match reply {
            Reply::Done { version } => {
                let lease = Held { epoch, version, lock: Some(lock) }.lease();
                Ok(Acquired { value: Some(value), lease, holder: None })
            }
            Reply::Exists | Reply::Absent | Reply::NotStored => {
                let script =
                    Script::new().delete_version(self.lock_name(key), lock).read_with_version(self.name(key));
                let value = match self.run_in(epoch, script).await? {
                    Some([_, Reply::Item { value, .. }]) => unless_reserved(Some(value)),
                    Some([_, Reply::Miss]) | None => None,
                    Some([_, other]) => return Err(refused(&other)),
                };
                Ok(Acquired { value, lease: None, holder: None })
            }
            other => Err(refused(&other)),
        }
    }

    /// Memcached can not touch on a condition. So the version is looked at first, and what may be there instead
    /// is not given another ttl, unless it came in the blink between.
    async fn prolong(&self, key: &Key, lease: Lease, term: Duration) -> Result<bool> {
        let Some(Held { epoch, version, lock }) = Held::of(lease) else {
            return Ok(false);
        };
        let (name, lock_name) = (self.name(key), self.lock_name(key));
        let is = |reply: &Reply, version: u64| *reply == Reply::Done { version };

        let script = Script::new().read_version(name).read_version(lock_name);
        let Some([of_key, of_lock]) = self.run_in(epoch, script).await? else {
            return Ok(false);
        };
        if !is(&of_key, version) || lock.is_some_and(|lock| !is(&of_lock, lock)) {
            return Ok(false);
        }
        let (touched, expected) = lock.map_or((name, version), |lock| (lock_name, lock));
        let script = Script::new().touch(touched, from_now(term));
        let Some([reply]) = self.run_in(epoch, script).await? else {
            return Ok(false);
        };
        Ok(is(&reply, expected))
    }

    async fn store_leased(&self, key: &Key, lease: Lease, value: &[u8], ttl: Duration) -> Result<bool> {
        if let Err(error) = self.check(value) {
            // The value is the reason, whether the lease could be given back or not.
            let _ = self.give_back(key, lease).await;
            return Err(error);
        }
        let Some(Held { epoch, version, lock }) = Held::of(lease) else {
            return Ok(false);
        };
        let script = Script::new().store(self.name(key), value, from_now(ttl), When::Version(version));
        let script = match lock {
            None => script,
            // The version tells that nobody else came; only the lock tells that the term is not over.
            Some(lock) => {
                let of_lock = self.run_in(epoch, Script::new().read_version(self.lock_name(key))).await?;
                if of_lock != Some([Reply::Done { version: lock }]) {
                    return Ok(false);
                }
                script.delete_version(self.lock_name(key), lock)
            }
        };
        let Some(Answer { replies, .. }) = self.server.run(script, Some(epoch)).await? else {
            return Ok(false);
        };
        match first(replies)? {
            Reply::Done { .. } => Ok(true),
            Reply::Exists | Reply::Absent | Reply::NotStored => Ok(false),
            other => Err(refused(&other)),
        }
    }

    async fn give_back(&self, key: &Key, lease: Lease) -> Result<()> {
        let Some(Held { epoch, version, lock }) = Held::of(lease) else {
            return Ok(());
        };
        if let Some(lock) = lock {
            return self.unlock(key, epoch, lock).await;
        }
        match self.run_in(epoch, Script::new().delete_version(self.name(key), version)).await? {
            Some([Reply::Done { .. } | Reply::Absent | Reply::Exists]) | None => Ok(()),
            Some([other]) => Err(refused(&other)),
        }
    }

    async fn unlock(&self, key: &Key, epoch: Epoch, lock: u64) -> Result<()> {
        match self.run_in(epoch, Script::new().delete_version(self.lock_name(key), lock)).await? {
            Some([Reply::Done { .. } | Reply::Absent | Reply::Exists]) | None => Ok(()),
            Some([other]) => Err(refused(&other)),
        }
    }

    async fn store_always(&self, key: &Key, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.check(value)?;
        let seconds = ttl.map_or(0, from_now);
        let script =
            Script::new().store(self.name(key), value, seconds, When::Always).delete(self.lock_name(key));
        let [stored, _] = array(self.run(script).await?.replies)?;
        match stored {
            Reply::Done { .. } => Ok(()),
            other => Err(refused(&other)),
        }
    }

    async fn store_vacant(&self, key: &Key, value: Bytes, ttl: Option<Duration>) -> Result<Bytes> {
        self.check(&value)?;
        let seconds = ttl.map_or(0, from_now);
        let name = self.name(key);
        for _ in 0..ADD_TRIES {
            let script = Script::new().store(name, &value, seconds, When::Vacant).read_with_version(name);
            let Answer { epoch, replies } = self.run(script).await?;
            let [stored, reply] = array(replies)?;
            match (stored, reply) {
                (Reply::Done { .. }, _) => return Ok(value),
                (Reply::NotStored, Reply::Item { value: there, .. }) if !there.is_empty() => {
                    return Ok(there);
                }
                // A reservation counts as nothing, and is replaced; its lease is void then.
                (Reply::NotStored, Reply::Item { version, .. }) => {
                    let script = Script::new().store(name, &value, seconds, When::Version(version));
                    if let Some([Reply::Done { .. }]) = self.run_in(epoch, script).await? {
                        return Ok(value);
                    }
                }
                // It went away between the two.
                (Reply::NotStored, Reply::Miss) => {}
                (Reply::NotStored, other) | (other, _) => return Err(refused(&other)),
            }
        }
        Err(Error::new(ErrorKind::Rejected, "a key of memcached changes too fast to add a value"))
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let script = Script::new().delete(self.name(key)).delete(self.lock_name(key));
        let [deleted, _] = array(self.run(script).await?.replies)?;
        match deleted {
            Reply::Done { .. } | Reply::Absent => Ok(()),
            other => Err(refused(&other)),
        }
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

/// What the number of a [`Lease`] means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    epoch: Epoch,
    /// Of what lies under the key.
    version: u64,
    /// Of the lock, for a lease over a value.
    lock: Option<u64>,
}

impl Held {
    /// 32 bits for the epoch, 48 for each version; no lock is 0, which no item has.
    ///
    /// `None` if a version does not fit, after 280 million million stores, or is 0, as it always is where the
    /// server was told to keep none (`-C`): no lease is safer than a wrong one.
    fn lease(self) -> Option<Lease> {
        let fits = |version: u64| version != 0 && version >> VERSION_BITS == 0;
        if !fits(self.version) || self.lock.is_some_and(|lock| !fits(lock)) {
            return None;
        }
        let lock = self.lock.unwrap_or(0);
        let token = u128::from(self.epoch.0) << (2 * VERSION_BITS)
            | u128::from(lock) << VERSION_BITS
            | u128::from(self.version);
        Some(Lease::new(token))
    }

    /// `None` for a number that is no lease of ours: version 0 would be no condition at all.
    fn of(lease: Lease) -> Option<Self> {
        let bits = |shift: u32| ((lease.token() >> shift) & ((1 << VERSION_BITS) - 1)) as u64;
        let (version, lock) = (bits(0), bits(VERSION_BITS));
        let epoch = Epoch((lease.token() >> (2 * VERSION_BITS)) as u32);
        (version != 0).then_some(Self { epoch, version, lock: (lock != 0).then_some(lock) })
    }
}

const VERSION_BITS: u32 = 48;

/// What a reservation means to one who asked for the lease.
fn reserved(epoch: Epoch, version: u64, won: bool) -> Acquired {
    let (lease, holder) = if won {
        (Held { epoch, version, lock: None }.lease(), None)
    } else {
        (None, Some(holder(epoch, version)))
    };
    Acquired { value: None, lease, holder }
}

/// Whoever made a reservation or a lock of this version.
fn holder(epoch: Epoch, version: u64) -> LeaseId {
    LeaseId::new(u128::from(epoch.0) << 64 | u128::from(version))
}

/// What lies under a lock; only that it is there counts.
const LOCKED: &[u8] = b"1";

/// Only so that no sum of times overflows.
const LONGEST_STALL: Duration = Duration::from_secs(60 * 60);

/// Each takes another change by someone else in the blink between two commands.
const ADD_TRIES: usize = 4;

fn from_now(duration: Duration) -> i32 {
    // Before 1970 the clock is wrong, and then every date would be as well.
    let unix_time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    seconds(duration, unix_time)
}

/// So many keys are read by one command; it has to fit into the line of a server that is not too generous.
const MOST_KEYS: usize = 100;

fn unless_reserved(value: Option<Bytes>) -> Option<Bytes> {
    value.filter(|value| !value.is_empty())
}

/// The value, the version, and whether the reservation is ours.
fn item_of(reply: Reply) -> Result<(Option<Bytes>, u64, bool)> {
    match reply {
        Reply::Item { version: 0, .. } => Err(Error::new(
            ErrorKind::Config,
            "memcached keeps no versions (it was started with -C), and so has no leases",
        )),
        Reply::Item { value, version, won } => Ok((unless_reserved(Some(value)), version, won)),
        other => Err(refused(&other)),
    }
}

fn array<const N: usize>(replies: Vec<Reply>) -> Result<[Reply; N]> {
    replies.try_into().map_err(|_| not_understood())
}

fn first(replies: Vec<Reply>) -> Result<Reply> {
    replies.into_iter().next().ok_or_else(not_understood)
}

/// The error that a reply is that brings nothing of what was asked for.
fn refused(reply: &Reply) -> Error {
    match reply {
        Reply::TooLarge => too_large(),
        Reply::Refused => {
            Error::new(ErrorKind::Rejected, "memcached refused, most likely for lack of memory")
        }
        _ => not_understood(),
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, "the value is larger than memcached takes")
}

fn not_understood() -> Error {
    Error::new(ErrorKind::Protocol, "memcached answered something else than it was asked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_keeps_what_it_stands_for() {
        for held in [
            Held { epoch: Epoch(0), version: 1, lock: None },
            Held { epoch: Epoch(u32::MAX), version: (1 << 48) - 1, lock: Some((1 << 48) - 1) },
            Held { epoch: Epoch(7), version: 8, lock: Some(9) },
        ] {
            assert_eq!(Held::of(held.lease().unwrap()), Some(held));
        }
    }

    #[test]
    fn a_version_that_does_not_fit_gives_no_lease() {
        assert_eq!(Held { epoch: Epoch(0), version: 1 << 48, lock: None }.lease(), None);
        assert_eq!(Held { epoch: Epoch(0), version: 1, lock: Some(1 << 48) }.lease(), None);
    }

    #[test]
    fn a_server_without_versions_gives_no_lease() {
        assert_eq!(Held { epoch: Epoch(1), version: 0, lock: None }.lease(), None);
        assert_eq!(Held { epoch: Epoch(1), version: 1, lock: Some(0) }.lease(), None);
        assert_eq!(Held::of(Lease::new(7 << 96)), None);
    }

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
