//! The kinds of a `Result`: by whether and how its error is shared with waiting callers, and cached.

use std::marker::PhantomData;

use super::return_kind::{Cacheable, ReturnKind};
use super::share_err::{ShareErr, Stored};

/// What the kinds of a `Result` have in common.
macro_rules! of_a_result {
    () => {
        fn success(output: &Result<T, E>) -> Option<&T> {
            output.as_ref().ok()
        }

        fn is_err(output: &Result<T, E>) -> bool {
            output.is_err()
        }
    };
}

/// What the kinds have in common that store the success of a `Result` only.
macro_rules! stores_successes {
    () => {
        fn stored_success(value: &T) -> Option<&T> {
            Some(value)
        }

        fn with_value<U>(
            self,
            output: Result<T, E>,
            read: impl FnOnce(&T) -> U,
        ) -> (Result<T, E>, Option<U>) {
            let read = output.as_ref().ok().map(read);
            (output, read)
        }

        #[inline]
        fn output_of_value(self, value: T) -> Result<T, E> {
            Ok(value)
        }
    };
}

/// What the kinds have in common that share the errors of a `Result`.
macro_rules! shares_errors {
    () => {
        fn to_shared(self, output: &Result<T, E>) -> Option<Result<T, S::Shared>> {
            Some(match output {
                Ok(value) => Ok(value.clone()),
                Err(error) => Err(self.0.share(error)),
            })
        }

        fn output_of_shared(self, shared: Result<T, S::Shared>) -> Result<T, E> {
            shared.map_err(|error| self.0.restore(error))
        }
    };
}

/// A `Result` whose error is not shared: waiting callers do not get it.
#[derive(Debug)]
pub struct Fallible<T, E>(pub(super) PhantomData<fn() -> (T, E)>);

impl<T: Cacheable, E: 'static> ReturnKind for Fallible<T, E> {
    const SHARES_ERRORS: bool = false;

    type Output = Result<T, E>;
    type Value = T;
    type Shared = T;
    type Success = T;

    of_a_result!();
    stores_successes!();

    fn to_shared(self, output: &Result<T, E>) -> Option<T> {
        output.as_ref().ok().cloned()
    }

    fn output_of_shared(self, shared: T) -> Result<T, E> {
        Ok(shared)
    }
}

/// A `Result` whose error is shared with waiting callers.
#[derive(Debug)]
pub struct SharedErr<T, E, S>(pub(super) S, pub(super) PhantomData<fn() -> (T, E)>);

impl<T: Cacheable, E: 'static, S: ShareErr<E>> ReturnKind for SharedErr<T, E, S> {
    type Output = Result<T, E>;
    type Value = T;
    type Shared = Result<T, S::Shared>;
    type Success = T;

    of_a_result!();
    stores_successes!();
    shares_errors!();
}

/// A `Result` whose error is cached too, by `cache_err`.
///
/// The value that is stored contains what is shared of the error.
#[derive(Debug)]
pub struct CachedErr<T, E, S>(pub(super) S, pub(super) PhantomData<fn() -> (T, E)>);

impl<T: Cacheable, E: 'static, S: ShareErr<E>> ReturnKind for CachedErr<T, E, S> {
    type Output = Result<T, E>;
    type Value = Result<T, S::Shared>;
    type Shared = Result<T, S::Shared>;
    type Success = T;

    of_a_result!();
    shares_errors!();

    fn stored_success(value: &Result<T, S::Shared>) -> Option<&T> {
        value.as_ref().ok()
    }

    fn is_stored_err(value: &Result<T, S::Shared>) -> bool {
        value.is_err()
    }

    fn with_value<U>(
        self,
        output: Result<T, E>,
        read: impl FnOnce(&Result<T, S::Shared>) -> U,
    ) -> (Result<T, E>, Option<U>) {
        let (value, error) = match output {
            Ok(value) => (Ok(value), None),
            Err(error) => (Err(self.0.share(&error)), Some(error)),
        };
        let read = read(&value);
        let output = match error {
            Some(error) => Err(error),
            None => value.map_err(|error| self.0.restore(error)),
        };
        (output, Some(read))
    }

    #[inline]
    fn output_of_value(self, value: Result<T, S::Shared>) -> Result<T, E> {
        value.map_err(|error| self.0.restore(error))
    }
}

/// A `Result` in a shared store whose error is cached too, by `cache_err`, and is not `Clone`.
///
/// The value that is stored contains the error itself, encoded.
#[derive(Debug)]
pub struct StoredErr<T, E, S>(pub(super) S, pub(super) PhantomData<fn() -> (T, E)>);

impl<T: Cacheable, E: Send + Sync + 'static, S: ShareErr<E>> ReturnKind for StoredErr<T, E, S> {
    type Output = Result<T, E>;
    type Value = Result<T, Stored<E>>;
    type Shared = Result<T, S::Shared>;
    type Success = T;

    of_a_result!();
    shares_errors!();

    fn stored_success(value: &Result<T, Stored<E>>) -> Option<&T> {
        value.as_ref().ok()
    }

    fn is_stored_err(value: &Result<T, Stored<E>>) -> bool {
        value.is_err()
    }

    fn with_value<U>(
        self,
        output: Result<T, E>,
        read: impl FnOnce(&Result<T, Stored<E>>) -> U,
    ) -> (Result<T, E>, Option<U>) {
        let value = output.map_err(Stored::new);
        let read = read(&value);
        (self.output_of_value(value), Some(read))
    }

    fn output_of_value(self, value: Result<T, Stored<E>>) -> Result<T, E> {
        value.map_err(|error| error.into_error(|error| self.0.restore(self.0.share(error))))
    }
}

macro_rules! copy {
    ($($name:ident)*) => {$(
        impl<T, E, S: Copy> Clone for $name<T, E, S> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T, E, S: Copy> Copy for $name<T, E, S> {}
    )*};
}

impl<T, E> Clone for Fallible<T, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, E> Copy for Fallible<T, E> {}

copy! { SharedErr CachedErr StoredErr }
