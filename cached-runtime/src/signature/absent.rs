//! When an output counts as absent.

use std::marker::PhantomData;

/// When an output counts as absent.
pub trait Absent<R> {
    /// Tells whether it does, if it ever can.
    fn test(self) -> Option<fn(&R) -> bool>;
}

/// The absence of an output that is, or has, an `Option`.
#[derive(Debug)]
pub struct WhenNone<R>(pub(super) fn(&R) -> bool);

/// The absence of any other output.
#[derive(Debug)]
pub struct Never<R>(pub(super) PhantomData<fn() -> R>);

impl<R> Absent<R> for WhenNone<R> {
    fn test(self) -> Option<fn(&R) -> bool> {
        Some(self.0)
    }
}

impl<R> Absent<R> for Never<R> {
    fn test(self) -> Option<fn(&R) -> bool> {
        None
    }
}
