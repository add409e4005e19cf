//! What `share_err` and `cache_err` require of the return type, and the kinds that they select.
#![allow(clippy::unused_self, reason = "method lookup selects these methods by the type of `self`")]

use std::marker::PhantomData;
use std::ops::Deref;

use super::cache::Cache;
use super::result_kinds::{CachedErr, Fallible, SharedErr, StoredErr};
use super::return_kind::Uncacheable;
use super::share_err::{ByClone, ByFunction, ByText};

/// Required by `share_err`: the function returns errors.
#[diagnostic::on_unimplemented(
    message = "`share_err` has no effect here: the function returns no error",
    label = "the function must return a `Result`",
    note = "leave `share_err` out"
)]
pub trait HasSharedErr {
    /// What takes the function of `share_err`.
    type Sharer;
    /// The kind whose waiting callers get no error.
    type Keeping;
    /// Returns what takes the function of `share_err`.
    fn sharer(self) -> Self::Sharer;
    /// Returns the kind whose waiting callers get no error.
    fn keeping(self) -> Self::Keeping;
}

/// Takes the function of `share_err`: the step for an error that can be shared between threads.
#[derive(Debug)]
pub struct Sharer<T, E>(UnshareableErr<T, E>);

/// The error step for any other error.
#[derive(Debug)]
pub struct UnshareableErr<T, E>(PhantomData<fn() -> (T, E)>);

/// Takes the function of `share_err` of a function whose output cannot be cached.
#[derive(Debug)]
pub struct NoSharer<K>(K);

impl<T, E> Deref for Sharer<T, E> {
    type Target = UnshareableErr<T, E>;

    fn deref(&self) -> &UnshareableErr<T, E> {
        &self.0
    }
}

impl<T, E: Send + Sync + 'static> Sharer<T, E> {
    /// Returns the kind whose waiting callers get the errors that a function makes.
    #[must_use]
    pub fn by(&self, share: fn(&E) -> E) -> SharedErr<T, E, ByFunction<E>> {
        SharedErr(ByFunction(share), PhantomData)
    }
}

impl<T, E> UnshareableErr<T, E> {
    /// Requires the traits that are missing.
    #[must_use]
    pub fn by(&self, _: fn(&E) -> E) -> Fallible<T, E>
    where
        Cache: CanShareErr<E>,
    {
        Fallible(PhantomData)
    }
}

impl<T, E, X> NoSharer<Uncacheable<Result<T, E>, X>> {
    /// Returns the substitute.
    #[must_use]
    pub fn by(&self, _: fn(&E) -> E) -> Uncacheable<Result<T, E>, X> {
        self.0
    }
}

/// Implemented for [`Cache`] if a function can make several `E` of one.
#[diagnostic::on_unimplemented(
    message = "`share_err` cannot share a `{E}`",
    label = "the error must be `Send + Sync + 'static`",
    note = "leave `share_err` out"
)]
pub trait CanShareErr<E> {}

#[diagnostic::do_not_recommend]
impl<E: Send + Sync + 'static> CanShareErr<E> for Cache {}

#[diagnostic::do_not_recommend]
impl<T, E> HasSharedErr for Fallible<T, E> {
    type Keeping = Self;
    type Sharer = Sharer<T, E>;

    fn sharer(self) -> Self::Sharer {
        Sharer(UnshareableErr(PhantomData))
    }

    fn keeping(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, S> HasSharedErr for SharedErr<T, E, S> {
    type Keeping = Fallible<T, E>;
    type Sharer = Sharer<T, E>;

    fn sharer(self) -> Self::Sharer {
        Sharer(UnshareableErr(PhantomData))
    }

    fn keeping(self) -> Self::Keeping {
        Fallible(PhantomData)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, X> HasSharedErr for Uncacheable<Result<T, E>, X> {
    type Keeping = Self;
    type Sharer = NoSharer<Self>;

    fn sharer(self) -> Self::Sharer {
        NoSharer(self)
    }

    fn keeping(self) -> Self {
        self
    }
}

/// Returns what takes the function of `share_err = |error| ...`.
pub fn sharing_errors<K: HasSharedErr>(kind: K) -> K::Sharer {
    kind.sharer()
}

/// Returns the kind of a function with `share_err = "off"`.
pub fn keeping_errors<K: HasSharedErr>(kind: K) -> K::Keeping {
    kind.keeping()
}

/// Required by `cache_err`: the function returns errors that can be given to several callers.
#[diagnostic::on_unimplemented(
    message = "`cache_err` cannot cache an error here",
    label = "the function must return a `Result` whose error can be given to several callers",
    note = "derive `Clone` for the error, implement `From<cached_runtime::Error>` and `Display` for it, add `share_err = |error| ...`, or leave `cache_err` out; to cache the `None` of an `Option`, write `cache_none`"
)]
pub trait CanCacheErrors {
    /// The kind that caches errors in memory.
    type Cached;
    /// The kind that caches errors in a shared store.
    type Stored;
    /// Returns the kind that caches errors in memory.
    fn cached(self) -> Self::Cached;
    /// Returns the kind that caches errors in a shared store.
    fn stored(self) -> Self::Stored;
}

#[diagnostic::do_not_recommend]
impl<R, T> CanCacheErrors for Uncacheable<R, T> {
    type Cached = Self;
    type Stored = Self;

    fn cached(self) -> Self {
        self
    }

    fn stored(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> CanCacheErrors for SharedErr<T, E, ByClone> {
    type Cached = CachedErr<T, E, ByClone>;
    type Stored = CachedErr<T, E, ByClone>;

    fn cached(self) -> Self::Cached {
        CachedErr(self.0, PhantomData)
    }

    fn stored(self) -> Self::Stored {
        CachedErr(self.0, PhantomData)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> CanCacheErrors for SharedErr<T, E, ByText> {
    type Cached = CachedErr<T, E, ByText>;
    type Stored = StoredErr<T, E, ByText>;

    fn cached(self) -> Self::Cached {
        CachedErr(self.0, PhantomData)
    }

    fn stored(self) -> Self::Stored {
        StoredErr(self.0, PhantomData)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> CanCacheErrors for SharedErr<T, E, ByFunction<E>> {
    type Cached = CachedErr<T, E, ByFunction<E>>;
    type Stored = StoredErr<T, E, ByFunction<E>>;

    fn cached(self) -> Self::Cached {
        CachedErr(self.0, PhantomData)
    }

    fn stored(self) -> Self::Stored {
        StoredErr(self.0, PhantomData)
    }
}

/// Returns the kind of a function with `cache_err` whose values are in memory.
pub fn caching_errors<K: CanCacheErrors>(kind: K) -> K::Cached {
    kind.cached()
}

/// Returns the kind of a function with `cache_err` whose values are in a shared store.
pub fn storing_errors<K: CanCacheErrors>(kind: K) -> K::Stored {
    kind.stored()
}
