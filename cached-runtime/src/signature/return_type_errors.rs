//! The error steps for return types that cannot be cached.
#![allow(clippy::unused_self, reason = "method lookup selects these methods by the type of `self`")]

use std::marker::PhantomData;

use super::cache::Cache;
use super::return_kind::{Cacheable, Uncacheable};
use super::return_type::{UncacheableOption, UncacheableResult, UncacheableValue};

/// Implemented for [`Cache`] if a `T` can be cached.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be cached",
    label = "a cached value must be `Clone + Send + Sync + 'static`",
    note = "derive `Clone`, or return an `Arc` of it"
)]
pub trait CanCache<T> {}

#[diagnostic::do_not_recommend]
impl<T: Cacheable> CanCache<T> for Cache {}

impl<T, E> UncacheableResult<Result<T, E>> {
    /// Requires the traits that are missing.
    #[must_use]
    pub const fn kind(&self) -> Uncacheable<Result<T, E>, T>
    where
        Cache: CanCache<T>,
    {
        Uncacheable(PhantomData)
    }
}

impl<T> UncacheableOption<Option<T>> {
    /// Requires the traits that are missing.
    #[must_use]
    pub const fn kind(&self) -> Uncacheable<Option<T>, T>
    where
        Cache: CanCache<T>,
    {
        Uncacheable(PhantomData)
    }
}

impl<T> UncacheableValue<T> {
    /// Requires the traits that are missing.
    #[must_use]
    pub const fn kind(&self) -> Uncacheable<T, T>
    where
        Cache: CanCache<T>,
    {
        Uncacheable(PhantomData)
    }
}
