//! What can be no part of a key.
#![allow(clippy::unused_self, reason = "Rust finds these methods by what they are called on")]

use std::hash::Hasher;

use super::argument::{WrongArg, WrongOptionArg, WrongWholeArg};
use super::cache::Cache;
use super::key_part::{KeyPart, KeyType};
use super::shared_key::SharedKeyType;

/// What finds values in memory by keys made of `T`; for messages.
///
/// It is not asked of `T` itself, or else the compiler would say that a reference to it would do.
#[diagnostic::on_unimplemented(
    message = "`{T}` can not be key_part of the key",
    label = "a key_part of the key must be `Hash + Eq + Clone + Send + Sync + 'static`",
    note = "derive what is missing, or say with `key = (...)` what of the arguments identifies the result (of a float: `key = (x.to_bits(),)`; of a map: a sorted `Vec`), or leave the argument out with `skip(...)`"
)]
pub trait CanKeyBy<T: ?Sized> {}

/// What finds values in a shared store by keys made of `T`; for messages.
#[diagnostic::on_unimplemented(
    message = "`{T}` can not be key_part of the key in a shared store",
    label = "a key_part of the key must be `Hash + Eq + Clone + Send + Sync + 'static` and `serde::Serialize`",
    note = "derive what is missing, or say with `key = (...)` what of the arguments identifies the result (of a float: `key = (x.to_bits(),)`; of a map: a sorted `Vec`), or leave the argument out with `skip(...)`"
)]
pub trait CanKeySharedBy<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T: KeyType> CanKeyBy<T> for Cache {}

#[diagnostic::do_not_recommend]
impl<T: SharedKeyType> CanKeySharedBy<T> for Cache {}

// What is wrong with an argument is said of the function, and not again of each of its companions.
macro_rules! not_again {
    ($($wrong:ident<$argument:ty>)*) => {$(
        impl<T: ?Sized> $wrong<'_, $argument> {
            /// Asks for nothing.
            #[must_use]
            pub const fn key_part_again(&self) -> InvalidKeyPart {
                InvalidKeyPart
            }

            /// Asks for nothing.
            #[must_use]
            pub const fn shared_key_part_again(&self) -> InvalidKeyPart {
                InvalidKeyPart
            }
        }
    )*};
}

not_again! { WrongArg<&T> WrongOptionArg<Option<&T>> WrongWholeArg<T> }

// These are written out, because the compiler shows them.

impl<U: ?Sized> WrongArg<'_, &U> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeyBy<U>,
    {
        InvalidKeyPart
    }

    /// Asks for what is missing.
    #[must_use]
    pub const fn shared_key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeySharedBy<U>,
    {
        InvalidKeyPart
    }
}

impl<U: ?Sized> WrongOptionArg<'_, Option<&U>> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeyBy<U>,
    {
        InvalidKeyPart
    }

    /// Asks for what is missing.
    #[must_use]
    pub const fn shared_key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeySharedBy<U>,
    {
        InvalidKeyPart
    }
}

impl<T> WrongWholeArg<'_, T> {
    /// Asks for what is missing.
    #[must_use]
    pub const fn key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeyBy<T>,
    {
        InvalidKeyPart
    }

    /// Asks for what is missing.
    #[must_use]
    pub const fn shared_key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeySharedBy<T>,
    {
        InvalidKeyPart
    }
}

/// What stands for an argument that can not be a part of a key; it is never made, because that does not compile.
#[derive(Debug)]
pub struct InvalidKeyPart;

impl KeyPart for InvalidKeyPart {
    type Owned = ();

    fn hash_part<H: Hasher>(&self, _: &mut H) {}

    fn is(&self, (): &()) -> bool {
        true
    }

    fn own(&self) {}
}
