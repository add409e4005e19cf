//! What a function returns, seen by its type: a `Result`, an `Option`, or a plain value.

use std::marker::PhantomData;

/// What can be remembered.
pub trait Cacheable: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Cacheable for T {}

/// How the output of a function is taken apart, stored, shared with those who wait for it, and put together.
pub trait ReturnKind: Copy + Send + Sync + 'static {
    /// What the function returns.
    type Output: 'static;
    /// What is stored.
    type Value: Cacheable;
    /// What those who wait get.
    type Shared: Clone + Send + Sync + 'static;
    /// What `cache_if`, `ttl_from` and `weigh` look at.
    type Success: 'static;

    /// The successful part of an output.
    fn success(output: &Self::Output) -> Option<&Self::Success>;
    /// The successful part of a stored value.
    fn stored_success(value: &Self::Value) -> Option<&Self::Success>;
    /// Whether the function failed.
    fn is_err(output: &Self::Output) -> bool;
    /// Whether a stored value says that the function failed.
    fn is_stored_err(_: &Self::Value) -> bool {
        false
    }
    /// What of an output is stored, if it can be.
    fn as_value(output: &Self::Output) -> Option<&Self::Value>;
    /// What a stored value is to a caller.
    fn from_value(value: Self::Value) -> Self::Output;
    /// A copy for those who wait, if there can be one.
    fn to_shared(output: &Self::Output) -> Option<Self::Shared>;
    /// What a shared copy is to a caller.
    fn from_shared(shared: Self::Shared) -> Self::Output;
}

/// What makes the output of a body that has taken too long.
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
    /// An output whose success can not be remembered; nothing is, because that does not compile.
    Nothing<R, T>;
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

impl<T: Cacheable, E: Clone + Send + Sync + 'static> ReturnKind for Sharing<T, E> {
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

impl<R: 'static, T: 'static> ReturnKind for Nothing<R, T> {
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
        unreachable!("what can not be remembered does not compile")
    }

    fn to_shared(_: &R) -> Option<()> {
        None
    }

    fn from_shared((): ()) -> R {
        unreachable!("what can not be remembered does not compile")
    }
}

impl<T: Cacheable, E: Clone + Send + Sync + 'static> ReturnKind for Keeping<T, E> {
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
