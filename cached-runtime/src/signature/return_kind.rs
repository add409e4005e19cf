//! The kinds of return types: a `Result`, an `Option`, or a plain value.

use std::marker::PhantomData;

/// What a value must be to be cached.
pub trait Cacheable: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Cacheable for T {}

/// How the output of a function is taken apart, stored, shared with waiting callers, and put together again.
///
/// Each kind is a type without fields that knows the output type.
pub trait ReturnKind: Copy + Send + Sync + 'static {
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
    /// Returns what is stored of an output, if it can be stored.
    fn as_value(output: &Self::Output) -> Option<&Self::Value>;
    /// Returns the output for a stored value.
    fn from_value(value: Self::Value) -> Self::Output;
    /// Returns a copy for waiting callers, if the output can be cloned.
    fn to_shared(output: &Self::Output) -> Option<Self::Shared>;
    /// Returns the output for such a copy.
    fn from_shared(shared: Self::Shared) -> Self::Output;
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
    /// A `Result` whose error cannot be cloned: waiting callers do not get it.
    Fallible<T, E>;
    /// A `Result` whose error can be cloned: waiting callers get a clone.
    CloneErr<T, E>;
    /// A `Result` whose error is cached too, by `cache_err`.
    CachedErr<T, E>;
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

impl<T: Cacheable, E: 'static> ReturnKind for Fallible<T, E> {
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

impl<T: Cacheable, E: Clone + Send + Sync + 'static> ReturnKind for CloneErr<T, E> {
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

    fn as_value(_: &R) -> Option<&()> {
        None
    }

    fn from_value((): ()) -> R {
        unreachable!("a function whose output cannot be cached does not compile")
    }

    fn to_shared(_: &R) -> Option<()> {
        None
    }

    fn from_shared((): ()) -> R {
        unreachable!("a function whose output cannot be cached does not compile")
    }
}

impl<T: Cacheable, E: Clone + Send + Sync + 'static> ReturnKind for CachedErr<T, E> {
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

    fn is_stored_err(value: &Result<T, E>) -> bool {
        value.is_err()
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
