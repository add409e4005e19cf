//! What can not be cached.
#![allow(clippy::unused_self, reason = "Rust finds these methods by what they are called on")]

use std::marker::PhantomData;

use super::cache::Cache;
use super::return_kind::{Cacheable, Nothing};
use super::return_type::{WrongOption, WrongResult, WrongValue};

/// What can remember a `T`; for messages.
///
/// It is not asked of `T` itself, or else the compiler would say that a reference to it would do.
#[diagnostic::on_unimplemented(
    message = "`{T}` can not be remembered",
    label = "a remembered value must be `Clone + Send + Sync + 'static`",
    note = "derive `Clone`, or return an `Arc` of it"
)]
pub trait CanCache<T> {}

#[diagnostic::do_not_recommend]
impl<T: Cacheable> CanCache<T> for Cache {}

impl<T, E> WrongResult<Result<T, E>> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn kind(&self) -> Nothing<Result<T, E>, T>
    where
        Cache: CanCache<T>,
    {
        Nothing(PhantomData)
    }
}

impl<T> WrongOption<Option<T>> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn kind(&self) -> Nothing<Option<T>, T>
    where
        Cache: CanCache<T>,
    {
        Nothing(PhantomData)
    }
}

impl<T> WrongValue<T> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn kind(&self) -> Nothing<T, T>
    where
        Cache: CanCache<T>,
    {
        Nothing(PhantomData)
    }
}
