//! Which outputs count as absent: `None` and `Ok(None)`.

use std::marker::PhantomData;

/// Knows whether an output can be absent.
pub trait Absent<R> {
    /// Returns the function that tells whether an output is absent, if one can be.
    fn predicate(self) -> Option<fn(&R) -> bool>;
}

/// For an output that is, or contains, an `Option`.
#[derive(Debug)]
pub struct IsNone<R>(pub(super) fn(&R) -> bool);

/// For any other output.
#[derive(Debug)]
pub struct NeverAbsent<R>(pub(super) PhantomData<fn() -> R>);

impl<R> Absent<R> for IsNone<R> {
    fn predicate(self) -> Option<fn(&R) -> bool> {
        Some(self.0)
    }
}

impl<R> Absent<R> for NeverAbsent<R> {
    fn predicate(self) -> Option<fn(&R) -> bool> {
        None
    }
}
