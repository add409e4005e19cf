//! What `cache_none`, `stale_if_error` and `timeout` require of the return type.

use super::absent::IsNone;
use super::cache::Cache;
use super::result_kinds::{Fallible, SharedErr};
use super::return_kind::Uncacheable;
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
