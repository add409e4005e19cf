//! Values that `put` accepts in place of an output.

/// A value that `put` accepts for a function that returns `R`.
///
/// The bound of the companions: its message names the value, which that of `FromValue` could not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put into the cache of a function that returns `{R}`",
    label = "expected the return type of the function, or the type in its `Ok` or `Some`"
)]
pub trait IntoOutput<R> {
    /// Returns the output.
    fn into_output(self) -> R;
}

#[diagnostic::do_not_recommend]
impl<V, R: FromValue<V>> IntoOutput<R> for V {
    #[inline]
    fn into_output(self) -> R {
        R::from_value(self)
    }
}

/// An output that can be made of a `V`: of itself, or of the value in its `Ok` or `Some`.
pub trait FromValue<V> {
    /// Returns the output.
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
