//! What a function returns, seen by its type: a `Result`, an `Option`, or a plain value.
//!
//! The macro can not know what `ApiResult<User>` is. So it writes `ReturnType::<ApiResult<User>>::new().kind()`, and the
//! type decides which `kind` is meant: Rust looks at `ReturnType` first, and if that has none for this type, at what it
//! derefs to.
#![allow(clippy::unused_self, reason = "Rust finds these methods by what they are called on")]

use std::marker::PhantomData;
use std::ops::Deref;

use super::key_parts::{Cache, KeyParts, Weigh, WithWeight};
use crate::{Error, ErrorKind};

/// What can be remembered.
pub trait Cacheable: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Cacheable for T {}

/// What can remember a `T`; for messages.
///
/// It is not asked of `T` itself, or else the compiler would say that a reference to it would do.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be cached",
    label = "a cached value must be `Clone + Send + Sync + 'static`",
    note = "derive `Clone`, or return an `Arc` of it"
)]
pub trait CanCache<T> {}

#[diagnostic::do_not_recommend]
impl<T: Cacheable> CanCache<T> for Cache {}

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

/// A key that comes with the weight of its entries: `weigh = |key, value| ...`
#[inline]
pub fn with_weight<P: KeyParts, O: ReturnKind>(
    parts: P,
    _outcome: O,
    weigh: Weigh<P::Owned, O::Success>,
) -> WithWeight<P, O::Success> {
    WithWeight { parts, weigh }
}

/// The type that a function returns, on its way to its kind.
///
/// The last steps are for what can not be remembered: they ask for what is missing, and return a kind all the same,
/// so that this is said once and nothing else.
#[derive(Debug)]
pub struct ReturnType<R>(AnyResult<R>);

/// What is no `Result` with an error that can be cloned.
#[derive(Debug)]
pub struct AnyResult<R>(AnyOption<R>);

/// What is no `Result` of anything that can be remembered.
#[derive(Debug)]
pub struct AnyOption<R>(Anything<R>);

/// What is no `Option` of anything that can be remembered.
#[derive(Debug)]
pub struct Anything<R>(WrongResult<R>);

/// What can not be remembered.
#[derive(Debug)]
pub struct WrongResult<R>(WrongOption<R>);

/// What can not be remembered, and is no `Result`.
#[derive(Debug)]
pub struct WrongOption<R>(WrongValue<R>);

/// What can not be remembered, and is neither a `Result` nor an `Option`.
#[derive(Debug)]
pub struct WrongValue<R>(PhantomData<fn() -> R>);

impl<R> ReturnType<R> {
    /// The shape of `R`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "only the macro calls it")]
    pub const fn new() -> Self {
        Self(AnyResult(AnyOption(Anything(WrongResult(WrongOption(WrongValue(PhantomData)))))))
    }
}

macro_rules! steps {
    ($($from:ident -> $to:ident)*) => {$(
        impl<R> Deref for $from<R> {
            type Target = $to<R>;

            #[inline]
            fn deref(&self) -> &$to<R> {
                &self.0
            }
        }
    )*};
}

steps! {
    ReturnType -> AnyResult
    AnyResult -> AnyOption
    AnyOption -> Anything
    Anything -> WrongResult
    WrongResult -> WrongOption
    WrongOption -> WrongValue
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident<$($param:ident),*>;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($param),*>(PhantomData<fn() -> ($($param,)*)>);

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

// There is one `kind` and one `absent` at each step, so that nothing is ambiguous about a type with a mistake in it.

impl<T: Cacheable, E: Clone + Send + Sync + 'static> ReturnType<Result<T, E>> {
    /// The kind of a `Result` with an error that can be cloned.
    #[must_use]
    pub const fn kind(&self) -> Sharing<T, E> {
        Sharing(PhantomData)
    }
}

impl<T: Cacheable, E> AnyResult<Result<T, E>> {
    /// The kind of a `Result` with any other error.
    #[must_use]
    pub const fn kind(&self) -> Fallible<T, E> {
        Fallible(PhantomData)
    }
}

impl<T, E> AnyResult<Result<Option<T>, E>> {
    /// A `Result` is absent when it is `Ok(None)`.
    #[must_use]
    pub fn absent(&self) -> WhenNone<Result<Option<T>, E>> {
        WhenNone(|output| matches!(output, Ok(None)))
    }
}

impl<T: Cacheable> AnyOption<Option<T>> {
    /// The kind of an `Option`.
    #[must_use]
    pub const fn kind(&self) -> Optional<T> {
        Optional(PhantomData)
    }
}

impl<T> AnyOption<Option<T>> {
    /// An `Option` is absent when it is `None`.
    #[must_use]
    pub fn absent(&self) -> WhenNone<Option<T>> {
        WhenNone(Option::is_none)
    }
}

impl<T: Cacheable> Anything<T> {
    /// The kind of everything else.
    #[must_use]
    pub const fn kind(&self) -> Plain<T> {
        Plain(PhantomData)
    }
}

impl<T, E> WrongResult<Result<T, E>> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn kind(&self) -> Nothing<Result<T, E>, T>
    where
        Cache: CanCache<T>,
    {
        Nothing(PhantomData)
    }
}

impl<T> WrongOption<Option<T>> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn kind(&self) -> Nothing<Option<T>, T>
    where
        Cache: CanCache<T>,
    {
        Nothing(PhantomData)
    }
}

impl<T> WrongValue<T> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn kind(&self) -> Nothing<T, T>
    where
        Cache: CanCache<T>,
    {
        Nothing(PhantomData)
    }
}

impl<T> Anything<T> {
    /// It is never absent.
    #[must_use]
    pub const fn absent(&self) -> Never<T> {
        Never(PhantomData)
    }
}

/// When an output counts as absent.
pub trait Absent<R> {
    /// Tells whether it does, if it ever can.
    fn test(self) -> Option<fn(&R) -> bool>;
}

/// The absence of an output that is, or has, an `Option`.
#[derive(Debug)]
pub struct WhenNone<R>(fn(&R) -> bool);

/// The absence of any other output.
#[derive(Debug)]
pub struct Never<R>(PhantomData<fn() -> R>);

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

/// What can be absent.
#[diagnostic::on_unimplemented(
    message = "`cache_none` has no effect here: the function returns no `Option`",
    label = "the function must return an `Option<_>` or a `Result<Option<_>, _>`",
    note = "leave `cache_none` out"
)]
pub trait HasNone {
    /// Its absence.
    type Absent;
    /// Its absence.
    fn absent(self) -> Self::Absent;
}

#[diagnostic::do_not_recommend]
impl<R> HasNone for WhenNone<R> {
    type Absent = Self;

    fn absent(self) -> Self {
        self
    }
}

/// The absence of the output of a function with `cache_none`.
pub fn caching_none<A: HasNone>(absent: A) -> A::Absent {
    absent.absent()
}

/// What has errors that can be remembered.
#[diagnostic::on_unimplemented(
    message = "`cache_err` cannot cache an error here",
    label = "the function must return a `Result` whose error is `Clone + Send + Sync + 'static`",
    note = "derive `Clone` for the error, or leave `cache_err` out; to cache the `None` of an `Option`, write `cache_none`"
)]
pub trait CanCacheErrors {
    /// The kind that remembers them.
    type WithErrors;
    /// The kind that remembers them.
    fn caching_errors(self) -> Self::WithErrors;
}

#[diagnostic::do_not_recommend]
impl<R, T> CanCacheErrors for Nothing<R, T> {
    type WithErrors = Self;

    fn caching_errors(self) -> Self {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> CanCacheErrors for Sharing<T, E> {
    type WithErrors = Keeping<T, E>;

    fn caching_errors(self) -> Self::WithErrors {
        Keeping(PhantomData)
    }
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

/// What can fail.
#[diagnostic::on_unimplemented(
    message = "`stale_if_error` has no effect here: the function returns no error",
    label = "the function must return a `Result`",
    note = "leave `stale_if_error` out, or write `stale_while_revalidate`"
)]
pub trait Fails {}

#[diagnostic::do_not_recommend]
impl<R, T> Fails for Nothing<R, T> {}

#[diagnostic::do_not_recommend]
impl<T, E> Fails for Fallible<T, E> {}

#[diagnostic::do_not_recommend]
impl<T, E> Fails for Sharing<T, E> {}

/// The kind of a function with `stale_if_error`.
pub fn with_fallback<K: Fails>(kind: K) -> K {
    kind
}

/// What has an error for a function that took too long.
#[diagnostic::on_unimplemented(
    message = "`timeout` cannot return an error here",
    label = "the function must return a `Result` whose error is `From<cached_runtime::Error>`",
    note = "implement `From<cached_runtime::Error>` for the error, or leave `timeout` out"
)]
pub trait TimesOut<R> {
    /// The output of a function that took too long.
    fn timed_out() -> R;
}

#[diagnostic::do_not_recommend]
impl<R: FromTimeout> TimesOut<R> for Cache {
    fn timed_out() -> R {
        R::from_timeout(Error::new(ErrorKind::Timeout, "the cached function took longer than its `timeout`"))
    }
}

/// What can be made of an error of ours.
pub trait FromTimeout {
    /// The output.
    fn from_timeout(error: Error) -> Self;
}

impl<T, E: From<Error>> FromTimeout for Result<T, E> {
    fn from_timeout(error: Error) -> Self {
        Err(error.into())
    }
}

/// The output of a function with `timeout` that took too long.
#[must_use]
pub fn timed_out<R>() -> R
where
    Cache: TimesOut<R>,
{
    <Cache as TimesOut<R>>::timed_out()
}

/// The kind of a function with `cache_err`.
pub fn caching_errors<K: CanCacheErrors>(kind: K) -> K::WithErrors {
    kind.caching_errors()
}

/// A value that can be put for an output.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put into the cache of a function that returns `{R}`",
    label = "expected the return type of the function, or the type in its `Ok` or `Some`"
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
