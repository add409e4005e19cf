//! Values that are put for an output.

/// A value that can be put for an output.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can not be put for `{R}`",
    label = "this must be what the function returns, or what is in its `Ok` or `Some`"
)]
pub trait IntoOutput<R> {
    /// The output.
    fn output(self) -> R;
}

#[diagnostic::do_not_recommend]
impl<V, R: FromValue<V>> IntoOutput<R> for V {
    #[inline]
    fn output(self) -> R {
        R::from_value(self)
    }
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
