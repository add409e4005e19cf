//! The dispatch from the type that a function returns to its kind, by type.
#![allow(clippy::unused_self, reason = "method lookup selects these methods by the type of `self`")]

use std::fmt::Display;
use std::marker::PhantomData;
use std::ops::Deref;

use super::absent::{IsNone, NeverAbsent};
use super::result_kinds::{Fallible, SharedErr};
use super::return_kind::{Cacheable, Optional, Plain};
use super::share_err::{ByClone, ByText};
use crate::Error;

/// The first step of the dispatch: `ReturnType::<R>::new().kind()` returns the kind of `R`, and `.absent()` how to tell
/// whether an output is a `None`.
///
/// Its case is a `Result` with an error that can be cloned. `signature/mod.rs` describes the technique.
#[derive(Debug)]
pub struct ReturnType<R>(FromErrorType<R>);

/// The step for a `Result` with an error that can be made of an [`Error`], and shows a text.
#[derive(Debug)]
pub struct FromErrorType<R>(ResultType<R>);

/// The step for any other `Result` of a success that is [`Cacheable`].
#[derive(Debug)]
pub struct ResultType<R>(OptionType<R>);

/// The step for an `Option` of a success that is [`Cacheable`].
#[derive(Debug)]
pub struct OptionType<R>(PlainType<R>);

/// The step for any other type that is [`Cacheable`].
#[derive(Debug)]
pub struct PlainType<R>(UncacheableResult<R>);

/// The error step for a `Result`.
#[derive(Debug)]
pub struct UncacheableResult<R>(UncacheableOption<R>);

/// The error step for an `Option`.
#[derive(Debug)]
pub struct UncacheableOption<R>(UncacheableValue<R>);

/// The error step for any other type.
#[derive(Debug)]
pub struct UncacheableValue<R>(PhantomData<fn() -> R>);

impl<R> ReturnType<R> {
    /// Returns the first step for `R`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only the macro calls it")]
    pub const fn new() -> Self {
        Self(FromErrorType(ResultType(OptionType(PlainType(UncacheableResult(UncacheableOption(
            UncacheableValue(PhantomData),
        )))))))
    }
}

macro_rules! steps {
    ($($from:ident -> $to:ident)*) => {$(
        impl<R> Deref for $from<R> {
            type Target = $to<R>;

            #[inline]
            fn deref(&self) -> &$to<R> {
                &self.0
            }
        }
    )*};
}

steps! {
    ReturnType -> FromErrorType
    FromErrorType -> ResultType
    ResultType -> OptionType
    OptionType -> PlainType
    PlainType -> UncacheableResult
    UncacheableResult -> UncacheableOption
    UncacheableOption -> UncacheableValue
}

impl<T: Cacheable, E: Clone + Send + Sync + 'static> ReturnType<Result<T, E>> {
    /// Returns the kind of a `Result` with an error that can be cloned.
    #[must_use]
    pub const fn kind(&self) -> SharedErr<T, E, ByClone> {
        SharedErr(ByClone, PhantomData)
    }
}

impl<T: Cacheable, E: From<Error> + Display + 'static> FromErrorType<Result<T, E>> {
    /// Returns the kind of a `Result` with an error that can be made of an [`Error`].
    #[must_use]
    pub const fn kind(&self) -> SharedErr<T, E, ByText> {
        SharedErr(ByText, PhantomData)
    }
}

impl<T: Cacheable, E> ResultType<Result<T, E>> {
    /// Returns the kind of a `Result` with any other error.
    #[must_use]
    pub const fn kind(&self) -> Fallible<T, E> {
        Fallible(PhantomData)
    }
}

impl<T, E> ResultType<Result<Option<T>, E>> {
    /// Returns the check for `Ok(None)`.
    #[must_use]
    pub fn absent(&self) -> IsNone<Result<Option<T>, E>> {
        IsNone(|output| matches!(output, Ok(None)))
    }
}

impl<T: Cacheable> OptionType<Option<T>> {
    /// Returns the kind of an `Option`.
    #[must_use]
    pub const fn kind(&self) -> Optional<T> {
        Optional(PhantomData)
    }
}

impl<T> OptionType<Option<T>> {
    /// Returns the check for `None`.
    #[must_use]
    pub fn absent(&self) -> IsNone<Option<T>> {
        IsNone(Option::is_none)
    }
}

impl<T: Cacheable> PlainType<T> {
    /// Returns the kind of any other type.
    #[must_use]
    pub const fn kind(&self) -> Plain<T> {
        Plain(PhantomData)
    }
}

impl<T> PlainType<T> {
    /// Returns that an output of any other type is never absent.
    #[must_use]
    pub const fn absent(&self) -> NeverAbsent<T> {
        NeverAbsent(PhantomData)
    }
}
