//! What a shared store must be able to do: bytes under a key, and leases on keys.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::{BoxFuture, Key, Result};

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
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no store",
    label = "this must implement `cached_runtime::Store`"
)]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The bytes under each of the keys, in their order; `None` where there are none. One round trip.
    ///
    /// A key that is only leased has no bytes.
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>>;

    /// Reads a key and tries to become the one who fills it, in one atomic step.
    ///
    /// The lease is given to one caller at a time. It is not given while another holds it, nor, with
    /// [`Over::Nothing`], when the key has a value. In the first case the answer says who the other is.
    fn acquire<'a>(&'a self, key: &'a Key, term: Duration, over: Over) -> BoxFuture<'a, Result<Acquired>>;

    /// Holds a lease for another `term` from now; `false` when it was lost.
    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>>;

    /// Stores a value for `ttl` and gives the lease back; `false`, and nothing is stored, when it was lost.
    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Gives a lease back without a value. It is not an error when it was lost before.
    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>>;

    /// Stores a value, whatever was there, and ends the lease. Without a `ttl` it stays until it is removed
    /// or evicted.
    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>>;

    /// Stores a value without a ttl if the key has none, and returns what it has then.
    fn add<'a>(&'a self, key: &'a Key, value: Bytes) -> BoxFuture<'a, Result<Bytes>>;

    /// Removes the value and ends the lease.
    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>>;

    /// Asks to be told when the value or the lease of a key changes; `None` if the store can not tell.
    ///
    /// The [`Watch`] ends with the next [`fill`](Store::fill), [`release`](Store::release), [`put`](Store::put) or
    /// [`remove`](Store::remove) of the key, by whatever process, after this has answered. It may also end for less,
    /// and it may be late where news get lost on the way: who waits for it looks from time to time all the same. A
    /// store that can not tell, be it for now, is asked often while somebody waits: it should know without asking
    /// its server.
    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>>;
}

/// Ends when a key may have changed; see [`Store::watch`].
#[must_use = "futures do nothing unless polled"]
pub struct Watch(BoxFuture<'static, ()>);

impl Watch {
    /// A watch that ends when this future does.
    pub fn new(change: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(change))
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// What a lease may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Only a key without a value can be leased: someone who filled it meanwhile has won.
    Nothing,
    /// A key that has a value can be leased as well: the value is known to be unusable, or due for a refresh.
    Value,
}

/// What [`Store::acquire`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquired {
    /// The bytes under the key, if any.
    pub value: Option<Bytes>,
    /// The lease, if it was given.
    pub lease: Option<Lease>,
    /// Who holds it, if that is why it was not given.
    pub holder: Option<Holder>,
}

/// Who holds a lease: the same as long as the lease is held, and another for the next one.
///
/// It is how one who waits sees that a computation has come to nothing: another holds the lease now, and there
/// still is no value. It shows no number and makes no lease, so that nobody can fill a key with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder(u128);

impl Holder {
    /// A holder known to its store by this number: that of the lease, or any other that tells it from the next.
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }
}

/// The right to fill one key, until it is given back, its term is over, or the key was changed by another.
///
/// What the number means is the store's own affair: a random token, a version counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(u128);

impl Lease {
    /// A lease known to its store by this number.
    #[must_use]
    pub const fn new(token: u128) -> Self {
        Self(token)
    }

    /// The number that the store gave it.
    #[must_use]
    pub const fn token(&self) -> u128 {
        self.0
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
                over: Over,
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

            fn add<'a>(&'a self, key: &'a Key, value: Bytes) -> BoxFuture<'a, Result<Bytes>> {
                (**self).add(key, value)
            }

            fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
                (**self).remove(key)
            }

            fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
                (**self).watch(key)
            }
        }
    )*};
}

forward! { &'static S Arc<S> Box<S> }

/// A store that `backend = EXPR` names: `Named::new(&EXPR).to_arc()` takes it however it is given.
#[derive(Debug)]
pub struct Named<'a, S>(InPlace<'a, S>);

/// A store that can not be cloned.
#[derive(Debug)]
pub struct InPlace<'a, S>(&'a S);

impl<'a, S> Named<'a, S> {
    /// The store.
    #[must_use]
    pub const fn new(store: &'a S) -> Self {
        Self(InPlace(store))
    }
}

impl<S: Store + Clone> Named<'_, S> {
    /// A store that is cheap to clone: an `Arc`, a reference to a static.
    #[must_use]
    pub fn to_arc(&self) -> Arc<dyn Store> {
        Arc::new(self.0.0.clone())
    }
}

impl<S> InPlace<'static, S> {
    /// A `static` that is a store itself.
    #[must_use]
    pub fn to_arc(&self) -> Arc<dyn Store>
    where
        S: Store,
    {
        Arc::new(self.0)
    }
}

impl<'a, S> Deref for Named<'a, S> {
    type Target = InPlace<'a, S>;

    fn deref(&self) -> &InPlace<'a, S> {
        &self.0
    }
}
