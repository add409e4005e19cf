//! What `cache_none`, `cache_err`, `stale_if_error` and `timeout` require of the return type.

use std::marker::PhantomData;

use super::absent::IsNone;
use super::cache::Cache;
use super::return_kind::{CachedErr, Fallible, SharedErr, StoredErr, Uncacheable};
use super::share_err::{ByClone, ByFunction, ByText};
use crate::{Error, ErrorKind};

/// Required by `cache_none`: an output can be absent.
#[diagnostic::on_unimplemented(
    message = "`cache_none` has no effect here: the function returns no `Option`",
    label = "the function must return an `Option<_>` or a `Result<Option<_>, _>`",
    note = "leave `cache_none` out"
)]
pub trait HasNone {
    /// The same type.
    type Absent;
    /// Returns it unchanged.
    fn absent(self) -> Self::Absent;
}

#[diagnostic::do_not_recommend]
impl<R> HasNone for IsNone<R> {
    type Absent = Self;

    fn absent(self) -> Self {
        self
    }
}

/// Checks the return type of a function with `cache_none`.
pub fn caching_none<A: HasNone>(absent: A) -> A::Absent {
    absent.absent()
}

/// Required by `share_err`: the function returns errors.
#[diagnostic::on_unimplemented(
    message = "`share_err` has no effect here: the function returns no error",
    label = "the function must return a `Result`",
    note = "leave `share_err` out"
)]
pub trait HasSharedErr {
    /// What the function returns in its `Err`.
    type Error;
    /// The kind whose waiting callers get an error of a function.
    type Sharing;
    /// The kind whose waiting callers get no error.
    type Keeping;
    /// Returns the kind whose waiting callers get the errors that a function makes.
    fn sharing(self, share: fn(&Self::Error) -> Self::Error) -> Self::Sharing;
    /// Returns the kind whose waiting callers get no error.
    fn keeping(self) -> Self::Keeping;
}

#[diagnostic::do_not_recommend]
impl<T, E> HasSharedErr for Fallible<T, E> {
    type Error = E;
    type Keeping = Self;
    type Sharing = SharedErr<T, E, ByFunction<E>>;

    fn sharing(self, share: fn(&E) -> E) -> Self::Sharing {
        SharedErr(ByFunction(share), PhantomData)
    }

    fn keeping(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, S> HasSharedErr for SharedErr<T, E, S> {
    type Error = E;
    type Keeping = Fallible<T, E>;
    type Sharing = SharedErr<T, E, ByFunction<E>>;

    fn sharing(self, share: fn(&E) -> E) -> Self::Sharing {
        SharedErr(ByFunction(share), PhantomData)
    }

    fn keeping(self) -> Self::Keeping {
        Fallible(PhantomData)
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, X> HasSharedErr for Uncacheable<Result<T, E>, X> {
    type Error = E;
    type Keeping = Self;
    type Sharing = Self;

    fn sharing(self, _: fn(&E) -> E) -> Self {
        self
    }

    fn keeping(self) -> Self {
        self
    }
}

/// Returns the kind of a function with `share_err = |error| ...`.
pub fn sharing_errors<K: HasSharedErr>(kind: K, share: fn(&K::Error) -> K::Error) -> K::Sharing {
    kind.sharing(share)
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

/// Required by `stale_if_error`: the function returns errors.
#[diagnostic::on_unimplemented(
    message = "`stale_if_error` has no effect here: the function returns no error",
    label = "the function must return a `Result`",
    note = "leave `stale_if_error` out, or write `stale_while_revalidate`"
)]
pub trait HasErr {}

#[diagnostic::do_not_recommend]
impl<R, T> HasErr for Uncacheable<R, T> {}

#[diagnostic::do_not_recommend]
impl<T, E> HasErr for Fallible<T, E> {}

#[diagnostic::do_not_recommend]
impl<T, E, S> HasErr for SharedErr<T, E, S> {}

/// Checks the return type of a function with `stale_if_error`.
pub fn with_fallback<K: HasErr>(kind: K) -> K {
    kind
}

/// Required by `timeout`, and implemented for [`Cache`]: an `R` can be made of an [`Error`].
#[diagnostic::on_unimplemented(
    message = "`timeout` cannot return an error here",
    label = "the function must return a `Result` whose error is `From<cached_runtime::Error>`",
    note = "implement `From<cached_runtime::Error>` for the error, or leave `timeout` out"
)]
pub trait CanTimeOut<R> {
    /// Returns the output of a computation that exceeded its `timeout`.
    fn timed_out() -> R;
}

#[diagnostic::do_not_recommend]
impl<R: FromTimeout> CanTimeOut<R> for Cache {
    fn timed_out() -> R {
        R::from_timeout(Error::new(ErrorKind::Timeout, "the cached function took longer than its `timeout`"))
    }
}

/// An output that can be made of an [`Error`].
pub trait FromTimeout {
    /// Returns the output for this error.
    fn from_timeout(error: Error) -> Self;
}

impl<T, E: From<Error>> FromTimeout for Result<T, E> {
    fn from_timeout(error: Error) -> Self {
        Err(error.into())
    }
}

/// Returns the output of a computation that exceeded its `timeout`.
#[must_use]
pub fn timed_out<R>() -> R
where
    Cache: CanTimeOut<R>,
{
    <Cache as CanTimeOut<R>>::timed_out()
}
