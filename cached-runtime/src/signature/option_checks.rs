//! What options ask of the return type.

use std::marker::PhantomData;

use super::absent::WhenNone;
use super::cache::Cache;
use super::return_kind::{Fallible, Keeping, Nothing, Sharing};
use crate::{Error, ErrorKind};

/// What can be absent.
#[diagnostic::on_unimplemented(
    message = "`cache_none` has no `None` to remember here",
    label = "the function must return an `Option<_>` or a `Result<Option<_>, _>`",
    note = "leave `cache_none` out"
)]
pub trait HasNone {
    /// Its absence.
    type Absent;
    /// Its absence.
    fn absent(self) -> Self::Absent;
}

#[diagnostic::do_not_recommend]
impl<R> HasNone for WhenNone<R> {
    type Absent = Self;

    fn absent(self) -> Self {
        self
    }
}

/// The absence of the output of a function with `cache_none`.
pub fn caching_none<A: HasNone>(absent: A) -> A::Absent {
    absent.absent()
}

/// What has errors that can be remembered.
#[diagnostic::on_unimplemented(
    message = "`cache_err` has no errors to remember here",
    label = "the function must return a `Result` whose error is `Clone + Send + Sync + 'static`",
    note = "derive `Clone` for the error, or leave `cache_err` out; of an `Option` `cache_none` remembers the `None`"
)]
pub trait CanCacheErrors {
    /// The kind that remembers them.
    type WithErrors;
    /// The kind that remembers them.
    fn caching_errors(self) -> Self::WithErrors;
}

#[diagnostic::do_not_recommend]
impl<R, T> CanCacheErrors for Nothing<R, T> {
    type WithErrors = Self;

    fn caching_errors(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> CanCacheErrors for Sharing<T, E> {
    type WithErrors = Keeping<T, E>;

    fn caching_errors(self) -> Self::WithErrors {
        Keeping(PhantomData)
    }
}

/// The kind of a function with `cache_err`.
pub fn caching_errors<K: CanCacheErrors>(kind: K) -> K::WithErrors {
    kind.caching_errors()
}

/// What can fail.
#[diagnostic::on_unimplemented(
    message = "`stale_if_error` has no error to stand in for here",
    label = "the function must return a `Result`",
    note = "leave `stale_if_error` out, or write `stale_while_revalidate`"
)]
pub trait Fails {}

#[diagnostic::do_not_recommend]
impl<R, T> Fails for Nothing<R, T> {}

#[diagnostic::do_not_recommend]
impl<T, E> Fails for Fallible<T, E> {}

#[diagnostic::do_not_recommend]
impl<T, E> Fails for Sharing<T, E> {}

/// The kind of a function with `stale_if_error`.
pub fn with_fallback<K: Fails>(kind: K) -> K {
    kind
}

/// What has an error for a function that took too long.
#[diagnostic::on_unimplemented(
    message = "`timeout` has no error to return here",
    label = "the function must return a `Result` whose error is `From<cached_runtime::Error>`",
    note = "implement `From<cached_runtime::Error>` for the error, or leave `timeout` out"
)]
pub trait TimesOut<R> {
    /// The output of a function that took too long.
    fn timed_out() -> R;
}

#[diagnostic::do_not_recommend]
impl<R: FromTimeout> TimesOut<R> for Cache {
    fn timed_out() -> R {
        R::from_timeout(Error::new(ErrorKind::Timeout, "the cached function took longer than its `timeout`"))
    }
}

/// What can be made of an error of ours.
pub trait FromTimeout {
    /// The output.
    fn from_timeout(error: Error) -> Self;
}

impl<T, E: From<Error>> FromTimeout for Result<T, E> {
    fn from_timeout(error: Error) -> Self {
        Err(error.into())
    }
}

/// The output of a function with `timeout` that took too long.
#[must_use]
pub fn timed_out<R>() -> R
where
    Cache: TimesOut<R>,
{
    <Cache as TimesOut<R>>::timed_out()
}
