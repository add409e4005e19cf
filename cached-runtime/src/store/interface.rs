//! What a shared store must be able to do: bytes under a key, and leases on keys.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Acquired, Key, Lease, LeaseMode, Watch};
use crate::{BoxFuture, Result};

/// Bytes under keys, shared by every process that can reach them.
///
/// The caches of this crate need nothing else from a server: implement it, and `backend = your_store()` works
/// with every option. There are no default methods: what a store can not do, it has to say. The feature
/// `contract` brings `contract::check`, which every store must pass, this crate's own included.
///
/// # Leases
///
/// Whoever wants to compute the value of a key asks for its lease first, and only the holder can
/// [`fill`](Store::fill) the key. [`put`](Store::put) and [`remove`](Store::remove) end the lease together with
/// the value, in one atomic step. So a value that was computed from before an invalidation can never be
/// stored after it, whatever was in flight: its lease is gone. A lease ends by itself after its term, so a
/// holder that died is replaced.
///
/// # Errors and cancellation
///
/// A method that fails says why by the [`ErrorKind`](crate::ErrorKind); it never panics and never waits without
/// a bound. A future that is dropped half way may or may not have taken effect on the server; it must leave the
/// store usable.
///
/// # A store of your own
///
/// A map is the least that can be one. The other examples in this crate use it too.
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
    message = "`{Self}` is no store",
    label = "this must implement `cached_runtime::Store`"
)]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The bytes under each of the keys, in their order; `None` where there are none. One round trip.
    ///
    /// A key that is only leased has no bytes.
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

    /// Reads a key and tries to become the one who fills it, in one atomic step.
    ///
    /// The lease is given to one caller at a time. It is not given while another holds it, nor, with
    /// [`LeaseMode::IfAbsent`], when the key has a value. In the first case the answer says who the other is.
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let term = Duration::from_secs(10);
    /// let first = store.acquire(&key, term, LeaseMode::IfAbsent).await?;
    /// let second = store.acquire(&key, term, LeaseMode::IfAbsent).await?;
    /// assert!(first.lease.is_some());
    /// assert!(second.lease.is_none());
    /// # Ok(())
    /// # }
    /// ```
    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        term: Duration,
        over: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>>;

    /// Holds a lease for another `term` from now; `false` when it was lost.
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let term = Duration::from_secs(10);
    /// let lease = store.acquire(&key, term, LeaseMode::IfAbsent).await?.lease.unwrap();
    /// assert!(store.extend(&key, &lease, term).await?);
    ///
    /// store.remove(&key).await?;
    /// assert!(!store.extend(&key, &lease, term).await?);
    /// # Ok(())
    /// # }
    /// ```
    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>>;

    /// Stores a value for `ttl` and gives the lease back; `false`, and nothing is stored, when it was lost.
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let term = Duration::from_secs(10);
    /// let lease = store.acquire(&key, term, LeaseMode::IfAbsent).await?.lease.unwrap();
    /// let ttl = Duration::from_secs(60);
    /// assert!(store.fill(&key, lease, "Ada".into(), ttl).await?);
    /// assert!(!store.fill(&key, lease, "Eve".into(), ttl).await?); // The lease was given back.
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

    /// Gives a lease back without a value. It is not an error when it was lost before.
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let term = Duration::from_secs(10);
    /// let lease = store.acquire(&key, term, LeaseMode::IfAbsent).await?.lease.unwrap();
    /// store.release(&key, lease).await?;
    /// assert!(store.acquire(&key, term, LeaseMode::IfAbsent).await?.lease.is_some());
    /// # Ok(())
    /// # }
    /// ```
    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>>;

    /// Stores a value, whatever was there, and ends the lease. Without a `ttl` it stays until it is removed
    /// or evicted.
    ///
    /// ```
    /// # mod map { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/map_store.rs")); }
    /// use std::time::Duration;
    ///
    /// use cached_runtime::{Key, LeaseMode, Store as _};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cached_runtime::Result<()> {
    /// # let store = map::MapStore::default();
    /// let key = Key::new("users", "ada")?;
    /// let term = Duration::from_secs(10);
    /// let lease = store.acquire(&key, term, LeaseMode::IfAbsent).await?.lease.unwrap();
    /// let ttl = Duration::from_secs(60);
    /// store.put(&key, "Ada".into(), Some(ttl)).await?;
    /// assert!(!store.fill(&key, lease, "Eve".into(), ttl).await?); // The lease has ended.
    /// assert_eq!(store.get(&[key]).await?, [Some("Ada".into())]);
    /// # Ok(())
    /// # }
    /// ```
    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>>;

    /// Stores a value if the key has none, and returns what it has then. Without a `ttl` it stays until it is removed or
    /// evicted.
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

    /// Removes the value and ends the lease.
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

    /// Asks to be told when the value or the lease of a key changes; `None` if the store can not tell.
    ///
    /// The [`Watch`] ends with the next [`fill`](Store::fill), [`release`](Store::release), [`put`](Store::put) or
    /// [`remove`](Store::remove) of the key, by whatever process, after this has answered. It may also end for less,
    /// and it may be late where news get lost on the way: who waits for it looks from time to time all the same. A
    /// store that can not tell, be it for now, is asked often while somebody waits: it should know without asking
    /// its server.
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

    /// Which store this is, however many references lead to it.
    #[doc(hidden)]
    fn identity(&self) -> (TypeId, usize) {
        (TypeId::of::<Self>(), std::ptr::from_ref(self).addr())
    }
}

/// Bytes under keys, by way of a reference.
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
                term: Duration,
                over: LeaseMode,
            ) -> BoxFuture<'a, Result<Acquired>> {
                (**self).acquire(key, term, over)
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

            fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>> {
                (**self).release(key, lease)
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

            fn identity(&self) -> (TypeId, usize) {
                (**self).identity()
            }
        }
    )*};
}

forward! { &'static S Arc<S> Box<S> }
