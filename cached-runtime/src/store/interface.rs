//! The trait [`Store`].

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Acquired, Key, LastAttempt, Lease, LeaseMode, Watch};
use crate::{BoxFuture, Result};

/// A key-value store of bytes with leases, shared by all processes that can reach it.
///
/// A shared tier needs nothing else from a server: implement this trait, and `backend = your_store()` works
/// with every option. Every documented method that reads or writes must be implemented, so that an implementation decides
/// about each of them; the hidden ones are for the stores of this crate. The feature `contract` brings `contract::check`, a
/// test that every store must pass, including those of this crate.
///
/// # Leases
///
/// A caller that wants to compute the value of a key acquires the lease of the key first, and only the holder
/// of the lease can [`fill`](Store::fill) the key (Nishtala et al., *Scaling Memcache at Facebook*, NSDI
/// 2013, section 3.2.1). [`put`](Store::put) and [`remove`](Store::remove) change the value and end the lease
/// in one atomic step. Therefore a value that was computed from data older than an invalidation cannot be
/// stored after it: its lease is gone. A lease expires after its term, so that a crashed holder is replaced.
///
/// # Limits
///
/// An operation of a cached function that takes longer than 1 second is given up: its future is dropped, and it counts as
/// failed. Reads of calls that come while others are in flight are combined, up to 1 024 keys in one [`get`](Store::get);
/// one that has waited for more than 1 second when its turn comes is not made. The number of other operations at a time is
/// not bounded.
///
/// # Errors
///
/// A method reports the cause of a failure by the [`ErrorKind`](crate::ErrorKind). It never panics, and never
/// waits without a deadline.
///
/// # Cancel safety
///
/// A future may be dropped at any `.await`. The operation may or may not take effect on the server then; the
/// store must stay usable.
///
/// # Examples
///
/// A map is the smallest possible store. The other examples in this crate use it too.
///
/// ```
#[doc = include_str!("../../docs/map_store.rs")]
///
/// use std::sync::LazyLock;
///
/// use cached_runtime::async_cached;
///
/// static MAP: LazyLock<MapStore> = LazyLock::new(MapStore::default);
///
/// #[async_cached(ttl = 60, backend = &*MAP)]
/// async fn word(number: u64) -> String {
///     format!("word {number}")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// word(42).await; // computed
/// word(42).await; // found in the map
/// assert_eq!((word::stats().computed, word::stats().shared_hits), (1, 1));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Store`",
    label = "this type must implement `cached_runtime::Store`"
)]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Returns the value of each key, in the order of `keys`; `None` for a key that has no value.
    ///
    /// All keys are read in one round trip. A key that is leased but not filled has no value. No keys are no
    /// values, and a key that occurs twice is returned twice.
    ///
    /// The keys may be those of several calls, of different functions, and an error fails all of these calls. So a key whose
    /// value cannot be read is to be returned as `None`, and an error only if the store itself has failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use cached_runtime::{Key, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let [ada, bob] = [Key::new("users", "ada")?, Key::new("users", "bob")?];
    /// store.put(&ada, "Ada".into(), None).await?;
    /// assert_eq!(store.get(&[ada, bob]).await?, [Some("Ada".into()), None]);
    /// # Ok(())
    /// # }
    /// ```
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>>;

    /// Acquires the lease of a key for `term`, in one atomic step.
    ///
    /// The caller chooses the token of the lease, by [`Lease::random`]. A lease is granted to one caller at a time. It
    /// is not granted if the key has a value that the mode does not [replace](LeaseMode::replaces), nor while another
    /// caller holds it, unless the mode is [`LeaseMode::TakeOver`]. The result says which of the two it is; in the second
    /// case it identifies the current lease. It also says how the last attempt ended, if that was said when its lease was
    /// [released](Store::release).
    ///
    /// After an error, or if the future was dropped, the lease may have been granted, or may still be. The caller then
    /// releases it.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, Lease, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let term = Duration::from_secs(10);
    /// let first = store.acquire(&key, Lease::random(), term, LeaseMode::IfAbsent).await?;
    /// let second = store.acquire(&key, Lease::random(), term, LeaseMode::IfAbsent).await?;
    /// assert!(first.is_granted);
    /// assert!(!second.is_granted);
    /// # Ok(())
    /// # }
    /// ```
    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>>;

    /// Extends a lease to end `term` from now; returns `false` if the lease was lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, Lease, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let (lease, term) = (Lease::random(), Duration::from_secs(10));
    /// store.acquire(&key, lease, term, LeaseMode::IfAbsent).await?;
    /// assert!(store.extend(&key, &lease, term).await?);
    ///
    /// store.remove(&key).await?;
    /// assert!(!store.extend(&key, &lease, term).await?);
    /// # Ok(())
    /// # }
    /// ```
    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>>;

    /// Stores a value for `ttl` and releases the lease; returns `false`, and stores nothing, if the lease was
    /// lost.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, Lease, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let (lease, term) = (Lease::random(), Duration::from_secs(10));
    /// store.acquire(&key, lease, term, LeaseMode::IfAbsent).await?;
    /// let ttl = Duration::from_secs(60);
    /// assert!(store.fill(&key, lease, "Ada".into(), ttl).await?);
    /// assert!(!store.fill(&key, lease, "Eve".into(), ttl).await?); // The lease was released.
    /// # Ok(())
    /// # }
    /// ```
    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Releases a lease without storing a value.
    ///
    /// The store keeps how the attempt ended, for [`acquire`](Store::acquire), until the key is changed or the next
    /// lease ends; without a next lease, for one second to one minute. Releasing a lost lease is not an error, and
    /// changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, LastAttempt, Lease, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let (lease, term) = (Lease::random(), Duration::from_secs(10));
    /// store.acquire(&key, lease, term, LeaseMode::IfAbsent).await?;
    /// store.release(&key, lease, LastAttempt::Failed).await?;
    /// let next = store.acquire(&key, Lease::random(), term, LeaseMode::IfAbsent).await?;
    /// assert!(next.is_granted);
    /// assert_eq!(next.last_attempt, LastAttempt::Failed);
    /// # Ok(())
    /// # }
    /// ```
    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>>;

    /// Stores a value unconditionally and ends any lease of the key, in one atomic step.
    ///
    /// Without a `ttl` the value stays until it is removed or evicted.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, Lease, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let (lease, term) = (Lease::random(), Duration::from_secs(10));
    /// store.acquire(&key, lease, term, LeaseMode::IfAbsent).await?;
    /// let ttl = Duration::from_secs(60);
    /// store.put(&key, "Ada".into(), Some(ttl)).await?;
    /// assert!(!store.fill(&key, lease, "Eve".into(), ttl).await?); // The lease has ended.
    /// assert_eq!(store.get(&[key]).await?, [Some("Ada".into())]);
    /// # Ok(())
    /// # }
    /// ```
    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>>;

    /// Stores a value if the key has none, and returns the value that the key has afterwards.
    ///
    /// A lease does not count as a value. Without a `ttl` the value stays until it is removed or evicted.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use cached_runtime::{Key, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// assert_eq!(store.add(&key, "first".into(), None).await?, "first");
    /// assert_eq!(store.add(&key, "second".into(), None).await?, "first");
    /// # Ok(())
    /// # }
    /// ```
    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>>;

    /// Removes the value of a key and ends any lease of the key, in one atomic step.
    ///
    /// Removing a key that has no value is not an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use cached_runtime::{Key, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// store.put(&key, "Ada".into(), None).await?;
    /// store.remove(&key).await?;
    /// assert_eq!(store.get(&[key]).await?, [None]);
    /// # Ok(())
    /// # }
    /// ```
    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>>;

    /// Returns a future that completes when the value or the lease of a key changes; `None` if the store does
    /// not support notifications.
    ///
    /// The [`Watch`] completes with the first [`fill`](Store::fill), [`release`](Store::release),
    /// [`put`](Store::put) or [`remove`](Store::remove) of the key, by any process, after this method has
    /// returned. It may complete without a change, and late or never if a notification is lost: callers poll
    /// in addition. A store without notifications, permanently or for now, is asked often while a caller
    /// waits, and should return `None` without a round trip.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use cached_runtime::{Key, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// if let Some(changed) = store.watch(&key).await? {
    ///     changed.await;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>>;

    /// Returns the name by which the server has the value of a key: for people who look for it there.
    ///
    /// By default it is the key itself. A store that adds to the key, such as a prefix, adds it here.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use cached_runtime::{Key, Store as _};
    ///
    /// # fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// assert_eq!(store.entry_name(&key), key.as_str());
    /// # Ok(())
    /// # }
    /// ```
    fn entry_name(&self, key: &Key) -> String {
        key.as_str().to_owned()
    }

    /// Returns how long an operation may take before it is given up; `None` for a store that ends each by itself.
    #[doc(hidden)]
    fn time_limit(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    /// As [`get`](Self::get), for keys whose values have this size together, in bytes, as far as it is known. Such a read does
    /// not delay others.
    #[doc(hidden)]
    fn get_large<'a>(
        &'a self,
        keys: &'a [Key],
        expected_bytes: usize,
    ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        let _ = expected_bytes;
        self.get(keys)
    }

    /// Returns the size of a value in bytes, without reading it; 0 if it is not known.
    #[doc(hidden)]
    fn size_of<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<usize>> {
        let _ = key;
        Box::pin(std::future::ready(Ok(0)))
    }

    /// Returns how long combined reads may wait to be sent.
    #[doc(hidden)]
    fn max_queue_wait(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Returns `true` if an operation would fail at once, because there is no connection.
    #[doc(hidden)]
    fn is_known_down(&self) -> bool {
        false
    }

    /// Identifies the store itself: equal for all references to it.
    #[doc(hidden)]
    fn identity(&self) -> (TypeId, usize) {
        (TypeId::of::<Self>(), std::ptr::from_ref(self).addr())
    }
}

/// The size above which a value is large, in bytes.
pub(crate) const LARGE_BYTES: usize = 256 * 1024;

/// Implements [`Store`] for pointers to stores.
macro_rules! forward {
    ($($type:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<S: Store + ?Sized> Store for $type {
            fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
                (**self).get(keys)
            }

            fn acquire<'a>(
                &'a self,
                key: &'a Key,
                lease: Lease,
                term: Duration,
                mode: LeaseMode,
            ) -> BoxFuture<'a, Result<Acquired>> {
                (**self).acquire(key, lease, term, mode)
            }

            fn extend<'a>(
                &'a self,
                key: &'a Key,
                lease: &'a Lease,
                term: Duration,
            ) -> BoxFuture<'a, Result<bool>> {
                (**self).extend(key, lease, term)
            }

            fn fill<'a>(
                &'a self,
                key: &'a Key,
                lease: Lease,
                value: Bytes,
                ttl: Duration,
            ) -> BoxFuture<'a, Result<bool>> {
                (**self).fill(key, lease, value, ttl)
            }

            fn release<'a>(
                &'a self,
                key: &'a Key,
                lease: Lease,
                attempt: LastAttempt,
            ) -> BoxFuture<'a, Result<()>> {
                (**self).release(key, lease, attempt)
            }

            fn put<'a>(
                &'a self,
                key: &'a Key,
                value: Bytes,
                ttl: Option<Duration>,
            ) -> BoxFuture<'a, Result<()>> {
                (**self).put(key, value, ttl)
            }

            fn add<'a>(
                &'a self,
                key: &'a Key,
                value: Bytes,
                ttl: Option<Duration>,
            ) -> BoxFuture<'a, Result<Bytes>> {
                (**self).add(key, value, ttl)
            }

            fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
                (**self).remove(key)
            }

            fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
                (**self).watch(key)
            }

            fn entry_name(&self, key: &Key) -> String {
                (**self).entry_name(key)
            }

            fn time_limit(&self) -> Option<Duration> {
                (**self).time_limit()
            }

            fn get_large<'a>(
                &'a self,
                keys: &'a [Key],
                expected_bytes: usize,
            ) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
                (**self).get_large(keys, expected_bytes)
            }

            fn size_of<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<usize>> {
                (**self).size_of(key)
            }

            fn max_queue_wait(&self) -> Duration {
                (**self).max_queue_wait()
            }

            fn is_known_down(&self) -> bool {
                (**self).is_known_down()
            }

            fn identity(&self) -> (TypeId, usize) {
                (**self).identity()
            }
        }
    )*};
}

forward! { &'static S Arc<S> Box<S> }
