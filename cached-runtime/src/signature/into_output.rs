//! Values that `put` accepts in place of an output.

/// A value that `put` accepts for a function that returns `R`.
///
/// These are the values of its return type, and for a `Result` or an `Option` those in its `Ok` or `Some`.
///
/// # Examples
///
/// ```
/// use cached_runtime::async_cached;
///
/// #[async_cached(ttl = 60)]
/// async fn user(id: u64) -> Option<String> {
///     (id > 0).then(|| format!("user {id}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cached_runtime::Result<()> {
/// user::put(1, "Ada".to_owned()).await?;
/// user::put(2, Some("Bob".to_owned())).await?;
/// assert_eq!((user(1).await.as_deref(), user(2).await.as_deref()), (Some("Ada"), Some("Bob")));
/// # Ok(())
/// # }
/// ```
// The bound of the companions: its message names the value, which that of `FromValue` could not.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put into the cache of a function that returns `{R}`",
    label = "expected the return type of the function, or the type in its `Ok` or `Some`"
)]
pub trait IntoOutput<R> {
    /// Returns the output.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::IntoOutput;
    ///
    /// let output: Option<u64> = 5.into_output();
    /// assert_eq!(output, Some(5));
    /// ```
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
