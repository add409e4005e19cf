//! What a function returns, seen by its type: a `Result`, an `Option`, or a plain value.
//!
//! The macro can not know what `ApiResult<User>` is. So it writes `Shape::<ApiResult<User>>::new().kind()`, and the
//! type decides which `kind` is meant: Rust looks at `Shape` first, and if that has none for this type, at what it
//! derefs to.

use std::marker::PhantomData;
use std::ops::Deref;

use crate::parts::{Parts, Weigh, Weighed};

/// What can be remembered.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can not be remembered",
    label = "a remembered value must be `Clone + Send + Sync + 'static`",
    note = "derive `Clone`, or return an `Arc` of it"
)]
pub trait Memorable: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Memorable for T {}

/// How the output of a function is taken apart, stored, shared with those who wait for it, and put together.
pub trait Outcome: Copy + Send + Sync + 'static {
    /// What the function returns.
    type Output: 'static;
    /// What is stored.
    type Value: Memorable;
    /// What those who wait get.
    type Shared: Clone + Send + Sync + 'static;
    /// What `cache_if`, `ttl_from` and `weigh` look at.
    type Success: 'static;

    /// A key of this function that comes with the weight of its entries.
    #[inline]
    fn weighed<P: Parts>(self, parts: P, weigh: Weigh<P::Owned, Self::Success>) -> Weighed<P, Self::Success> {
        Weighed { parts, weigh }
    }

    /// The successful part of an output.
    fn success(output: &Self::Output) -> Option<&Self::Success>;
    /// The successful part of a stored value.
    fn stored_success(value: &Self::Value) -> Option<&Self::Success>;
    /// Whether the function failed.
    fn is_err(output: &Self::Output) -> bool;
    /// What of an output is stored, if it can be.
    fn as_value(output: &Self::Output) -> Option<&Self::Value>;
    /// What a stored value is to a caller.
    fn from_value(value: Self::Value) -> Self::Output;
    /// A copy for those who wait, if there can be one.
    fn to_shared(output: &Self::Output) -> Option<Self::Shared>;
    /// What a shared copy is to a caller.
    fn from_shared(shared: Self::Shared) -> Self::Output;
}

/// The type that a function returns, on its way to its kind.
#[derive(Debug)]
pub struct Shape<R>(AnyResult<R>);

/// What a [`Shape`] without a kind of its own is asked next.
#[derive(Debug)]
pub struct AnyResult<R>(Anything<R>);

/// What has no kind but [`Plain`].
#[derive(Debug)]
pub struct Anything<R>(PhantomData<fn() -> R>);

impl<R> Shape<R> {
    /// The shape of `R`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only the macro calls it")]
    pub const fn new() -> Self {
        Self(AnyResult(Anything(PhantomData)))
    }
}

impl<R> Deref for Shape<R> {
    type Target = AnyResult<R>;

    #[inline]
    fn deref(&self) -> &AnyResult<R> {
        &self.0
    }
}

impl<R> Deref for AnyResult<R> {
    type Target = Anything<R>;

    #[inline]
    fn deref(&self) -> &Anything<R> {
        &self.0
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident<$($param:ident),*>;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($param),*>(PhantomData<fn() -> ($($param,)*)>);

        impl<$($param),*> Clone for $name<$($param),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($param),*> Copy for $name<$($param),*> {}
    )*};
}

kinds! {
    /// Any value; it always counts as a success.
    Plain<T>;
    /// An `Option`; `Some` is a success.
    Optional<T>;
    /// A `Result` whose error can not be cloned.
    Fallible<T, E>;
    /// A `Result` whose error can be handed to everyone who waits for it.
    Sharing<T, E>;
    /// A `Result` whose error is remembered too.
    Keeping<T, E>;
}

/// When an output counts as absent.
pub(crate) type Absent<R> = Option<fn(&R) -> bool>;

impl<T> Shape<Option<T>> {
    /// The kind of an `Option`.
    #[must_use]
    pub const fn kind(&self) -> Optional<T> {
        Optional(PhantomData)
    }

    /// An `Option` is absent when it is `None`.
    #[must_use]
    pub fn absent(&self) -> Absent<Option<T>> {
        Some(Option::is_none)
    }
}

impl<T, E: Clone + Send + Sync + 'static> Shape<Result<T, E>> {
    /// The kind of a `Result` with an error that can be cloned.
    #[must_use]
    pub const fn kind(&self) -> Sharing<T, E> {
        Sharing(PhantomData)
    }
}

impl<T, E> Shape<Result<Option<T>, E>> {
    /// So is a successful one.
    #[must_use]
    pub fn absent(&self) -> Absent<Result<Option<T>, E>> {
        Some(|output| matches!(output, Ok(None)))
    }
}

impl<T, E> AnyResult<Result<T, E>> {
    /// The kind of a `Result` with any other error.
    #[must_use]
    pub const fn kind(&self) -> Fallible<T, E> {
        Fallible(PhantomData)
    }
}

impl<T> Anything<T> {
    /// The kind of everything else.
    #[must_use]
    pub const fn kind(&self) -> Plain<T> {
        Plain(PhantomData)
    }

    /// It is never absent.
    #[must_use]
    pub const fn absent(&self) -> Absent<T> {
        None
    }
}

/// What has errors that can be remembered.
#[diagnostic::on_unimplemented(
    message = "`cache_err` has no errors to remember here",
    label = "the function must return a `Result` whose error is `Clone + Send + Sync + 'static`",
    note = "derive `Clone` for the error, or leave `cache_err` out"
)]
pub trait KeepsErrors {
    /// The kind that remembers them.
    type Kept: Outcome;
    /// The kind that remembers them.
    fn kept(self) -> Self::Kept;
}

impl<T: Memorable, E: Clone + Send + Sync + 'static> KeepsErrors for Sharing<T, E> {
    type Kept = Keeping<T, E>;

    fn kept(self) -> Self::Kept {
        Keeping(PhantomData)
    }
}

impl<T: Memorable> Outcome for Plain<T> {
    type Output = T;
    type Value = T;
    type Shared = T;
    type Success = T;

    fn success(output: &T) -> Option<&T> {
        Some(output)
    }

    fn stored_success(value: &T) -> Option<&T> {
        Some(value)
    }

    fn is_err(_: &T) -> bool {
        false
    }

    fn as_value(output: &T) -> Option<&T> {
        Some(output)
    }

    fn from_value(value: T) -> T {
        value
    }

    fn to_shared(output: &T) -> Option<T> {
        Some(output.clone())
    }

    fn from_shared(shared: T) -> T {
        shared
    }
}

impl<T: Memorable> Outcome for Optional<T> {
    type Output = Option<T>;
    type Value = Option<T>;
    type Shared = Option<T>;
    type Success = T;

    fn success(output: &Option<T>) -> Option<&T> {
        output.as_ref()
    }

    fn stored_success(value: &Option<T>) -> Option<&T> {
        value.as_ref()
    }

    fn is_err(_: &Option<T>) -> bool {
        false
    }

    fn as_value(output: &Option<T>) -> Option<&Option<T>> {
        Some(output)
    }

    fn from_value(value: Option<T>) -> Option<T> {
        value
    }

    fn to_shared(output: &Option<T>) -> Option<Option<T>> {
        Some(output.clone())
    }

    fn from_shared(shared: Option<T>) -> Option<T> {
        shared
    }
}

impl<T: Memorable, E: 'static> Outcome for Fallible<T, E> {
    type Output = Result<T, E>;
    type Value = T;
    type Shared = T;
    type Success = T;

    fn success(output: &Result<T, E>) -> Option<&T> {
        output.as_ref().ok()
    }

    fn stored_success(value: &T) -> Option<&T> {
        Some(value)
    }

    fn is_err(output: &Result<T, E>) -> bool {
        output.is_err()
    }

    fn as_value(output: &Result<T, E>) -> Option<&T> {
        output.as_ref().ok()
    }

    fn from_value(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn to_shared(output: &Result<T, E>) -> Option<T> {
        output.as_ref().ok().cloned()
    }

    fn from_shared(shared: T) -> Result<T, E> {
        Ok(shared)
    }
}

impl<T: Memorable, E: Clone + Send + Sync + 'static> Outcome for Sharing<T, E> {
    type Output = Result<T, E>;
    type Value = T;
    type Shared = Result<T, E>;
    type Success = T;

    fn success(output: &Result<T, E>) -> Option<&T> {
        output.as_ref().ok()
    }

    fn stored_success(value: &T) -> Option<&T> {
        Some(value)
    }

    fn is_err(output: &Result<T, E>) -> bool {
        output.is_err()
    }

    fn as_value(output: &Result<T, E>) -> Option<&T> {
        output.as_ref().ok()
    }

    fn from_value(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn to_shared(output: &Result<T, E>) -> Option<Result<T, E>> {
        Some(output.clone())
    }

    fn from_shared(shared: Result<T, E>) -> Result<T, E> {
        shared
    }
}

impl<T: Memorable, E: Clone + Send + Sync + 'static> Outcome for Keeping<T, E> {
    type Output = Result<T, E>;
    type Value = Result<T, E>;
    type Shared = Result<T, E>;
    type Success = T;

    fn success(output: &Result<T, E>) -> Option<&T> {
        output.as_ref().ok()
    }

    fn stored_success(value: &Result<T, E>) -> Option<&T> {
        value.as_ref().ok()
    }

    fn is_err(output: &Result<T, E>) -> bool {
        output.is_err()
    }

    fn as_value(output: &Result<T, E>) -> Option<&Result<T, E>> {
        Some(output)
    }

    fn from_value(value: Result<T, E>) -> Result<T, E> {
        value
    }

    fn to_shared(output: &Result<T, E>) -> Option<Result<T, E>> {
        Some(output.clone())
    }

    fn from_shared(shared: Result<T, E>) -> Result<T, E> {
        shared
    }
}

/// The kind of a function with `cache_err`.
pub fn kept<K: KeepsErrors>(kind: K) -> K::Kept {
    kind.kept()
}

/// A value that stands for an output: `Ok` and `Some` may be left out where a value is put.
pub trait FromValue<V> {
    /// The output.
    fn from_value(value: V) -> Self;
}

impl<R> FromValue<R> for R {
    fn from_value(value: R) -> R {
        value
    }
}

impl<T, E> FromValue<T> for Result<T, E> {
    fn from_value(value: T) -> Self {
        Ok(value)
    }
}

impl<T> FromValue<T> for Option<T> {
    fn from_value(value: T) -> Self {
        Some(value)
    }
}
