//! The kinds of return types: a plain value, an `Option`, or a `Result`, whose kinds are in `result_kinds`.

use std::marker::PhantomData;

/// What a value must be to be cached.
pub trait Cacheable: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Cacheable for T {}

/// How the output of a function is taken apart, stored, shared with waiting callers, and put together again.
///
/// A kind knows the output type. It has no fields but the function of `share_err`, if there is one.
pub trait ReturnKind: Copy + Send + Sync + 'static {
    /// Whether waiting callers get errors too. Otherwise each of them runs the function until it succeeds.
    const SHARES_ERRORS: bool = true;

    /// What the function returns.
    type Output: 'static;
    /// What is stored of an output.
    type Value: Cacheable;
    /// What waiting callers get of an output.
    type Shared: Clone + Send + Sync + 'static;
    /// The argument of `cache_if`, `ttl_from`, `tags_from` and `weigh`.
    type Success: 'static;

    /// Returns the success in an output.
    fn success(output: &Self::Output) -> Option<&Self::Success>;
    /// Returns the success in a stored value.
    fn stored_success(value: &Self::Value) -> Option<&Self::Success>;
    /// Returns `true` if the output is an error.
    fn is_err(output: &Self::Output) -> bool;
    /// Returns `true` if the stored value is an error.
    fn is_stored_err(_: &Self::Value) -> bool {
        false
    }
    /// Calls `read` with what is stored of an output, if it can be stored; returns the output again.
    ///
    /// By value, because an error that cannot be cloned may have to be moved into the value and back.
    fn with_value<U>(
        self,
        output: Self::Output,
        read: impl FnOnce(&Self::Value) -> U,
    ) -> (Self::Output, Option<U>);
    /// Returns the output for a stored value.
    fn output_of_value(self, value: Self::Value) -> Self::Output;
    /// Returns a copy for waiting callers; `None` for an error that cannot be shared.
    fn to_shared(self, output: &Self::Output) -> Option<Self::Shared>;
    /// Returns the output for such a copy.
    fn output_of_shared(self, shared: Self::Shared) -> Self::Output;
}

/// Returns the output of a computation that exceeded its `timeout`.
pub(crate) type TimeoutOutput<R> = fn() -> R;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident<$($param:ident),*>;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($param),*>(pub(super) PhantomData<fn() -> ($($param,)*)>);

        impl<$($param),*> Clone for $name<$($param),*> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($param),*> Copy for $name<$($param),*> {}
    )*};
}

kinds! {
    /// A plain value, which always counts as a success.
    Plain<T>;
    /// An `Option`, of which `Some` is a success.
    Optional<T>;
    /// The substitute for a type whose success cannot be cached. Code that uses it does not compile.
    Uncacheable<R, T>;
}

impl<T: Cacheable> ReturnKind for Plain<T> {
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

    fn with_value<U>(self, output: T, read: impl FnOnce(&T) -> U) -> (T, Option<U>) {
        let read = read(&output);
        (output, Some(read))
    }

    #[inline]
    fn output_of_value(self, value: T) -> T {
        value
    }

    fn to_shared(self, output: &T) -> Option<T> {
        Some(output.clone())
    }

    fn output_of_shared(self, shared: T) -> T {
        shared
    }
}

impl<T: Cacheable> ReturnKind for Optional<T> {
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

    fn with_value<U>(self, output: Option<T>, read: impl FnOnce(&Option<T>) -> U) -> (Option<T>, Option<U>) {
        let read = read(&output);
        (output, Some(read))
    }

    #[inline]
    fn output_of_value(self, value: Option<T>) -> Option<T> {
        value
    }

    fn to_shared(self, output: &Option<T>) -> Option<Option<T>> {
        Some(output.clone())
    }

    fn output_of_shared(self, shared: Option<T>) -> Option<T> {
        shared
    }
}

impl<R: 'static, T: 'static> ReturnKind for Uncacheable<R, T> {
    type Output = R;
    type Value = ();
    type Shared = ();
    type Success = T;

    fn success(_: &R) -> Option<&T> {
        None
    }

    fn stored_success((): &()) -> Option<&T> {
        None
    }

    fn is_err(_: &R) -> bool {
        false
    }

    fn with_value<U>(self, output: R, _: impl FnOnce(&()) -> U) -> (R, Option<U>) {
        (output, None)
    }

    fn output_of_value(self, (): ()) -> R {
        unreachable!("a function whose output cannot be cached does not compile")
    }

    fn to_shared(self, _: &R) -> Option<()> {
        None
    }

    fn output_of_shared(self, (): ()) -> R {
        unreachable!("a function whose output cannot be cached does not compile")
    }
}
