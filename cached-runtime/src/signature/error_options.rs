//! What `share_err` and `cache_err` require of the return type, and the kinds that they select.

use std::marker::PhantomData;

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
