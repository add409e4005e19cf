//! The type that a function returns, on its way to its kind.
//!
//! The macro can not know what `ApiResult<User>` is. So it writes `ReturnType::<ApiResult<User>>::new().kind()`, and the
//! type decides which `kind` is meant: Rust looks at `ReturnType` first, and if that has none for this type, at what it
//! derefs to.
#![allow(clippy::unused_self, reason = "Rust finds these methods by what they are called on")]

use std::marker::PhantomData;
use std::ops::Deref;

use super::absent::{Never, WhenNone};
use super::return_kind::{Cacheable, Fallible, Optional, Plain, Sharing};

/// The type that a function returns, on its way to its kind.
///
/// The last steps are for what can not be remembered: they ask for what is missing, and return a kind all the same,
/// so that this is said once and nothing else.
#[derive(Debug)]
pub struct ReturnType<R>(AnyResult<R>);

/// What is no `Result` with an error that can be cloned.
#[derive(Debug)]
pub struct AnyResult<R>(AnyOption<R>);

/// What is no `Result` of anything that can be remembered.
#[derive(Debug)]
pub struct AnyOption<R>(Anything<R>);

/// What is no `Option` of anything that can be remembered.
#[derive(Debug)]
pub struct Anything<R>(WrongResult<R>);

/// What can not be remembered.
#[derive(Debug)]
pub struct WrongResult<R>(WrongOption<R>);

/// What can not be remembered, and is no `Result`.
#[derive(Debug)]
pub struct WrongOption<R>(WrongValue<R>);

/// What can not be remembered, and is neither a `Result` nor an `Option`.
#[derive(Debug)]
pub struct WrongValue<R>(PhantomData<fn() -> R>);

impl<R> ReturnType<R> {
    /// The shape of `R`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only the macro calls it")]
    pub const fn new() -> Self {
        Self(AnyResult(AnyOption(Anything(WrongResult(WrongOption(WrongValue(PhantomData)))))))
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
    ReturnType -> AnyResult
    AnyResult -> AnyOption
    AnyOption -> Anything
    Anything -> WrongResult
    WrongResult -> WrongOption
    WrongOption -> WrongValue
}

// There is one `kind` and one `absent` at each step, so that nothing is ambiguous about a type with a mistake in it.

impl<T: Cacheable, E: Clone + Send + Sync + 'static> ReturnType<Result<T, E>> {
    /// The kind of a `Result` with an error that can be cloned.
    #[must_use]
    pub const fn kind(&self) -> Sharing<T, E> {
        Sharing(PhantomData)
    }
}

impl<T: Cacheable, E> AnyResult<Result<T, E>> {
    /// The kind of a `Result` with any other error.
    #[must_use]
    pub const fn kind(&self) -> Fallible<T, E> {
        Fallible(PhantomData)
    }
}

impl<T, E> AnyResult<Result<Option<T>, E>> {
    /// A `Result` is absent when it is `Ok(None)`.
    #[must_use]
    pub fn absent(&self) -> WhenNone<Result<Option<T>, E>> {
        WhenNone(|output| matches!(output, Ok(None)))
    }
}

impl<T: Cacheable> AnyOption<Option<T>> {
    /// The kind of an `Option`.
    #[must_use]
    pub const fn kind(&self) -> Optional<T> {
        Optional(PhantomData)
    }
}

impl<T> AnyOption<Option<T>> {
    /// An `Option` is absent when it is `None`.
    #[must_use]
    pub fn absent(&self) -> WhenNone<Option<T>> {
        WhenNone(Option::is_none)
    }
}

impl<T: Cacheable> Anything<T> {
    /// The kind of everything else.
    #[must_use]
    pub const fn kind(&self) -> Plain<T> {
        Plain(PhantomData)
    }
}

impl<T> Anything<T> {
    /// It is never absent.
    #[must_use]
    pub const fn absent(&self) -> Never<T> {
        Never(PhantomData)
    }
}
