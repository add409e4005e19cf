//! The error steps for arguments that cannot be in a key.
#![allow(clippy::unused_self, reason = "method lookup selects these methods by the type of `self`")]

use std::hash::Hasher;

use super::argument::{InvalidOptionalReferenceArg, InvalidOwnedArg, InvalidReferenceArg};
use super::cache::Cache;
use super::key_part::{KeyPart, KeyType};
use super::shared_key::SharedKeyType;

/// Implemented for [`Cache`] if a `T` can be in a key in memory.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be part of the cache key",
    label = "every part of the key must be `Hash + Eq + Clone + Send + Sync + 'static`",
    note = "derive the missing traits, or write `key = (...)` with what identifies the result (for a float: `key = (x.to_bits(),)`; for a map: a sorted `Vec`), or leave the argument out with `skip(...)`"
)]
pub trait CanKeyBy<T: ?Sized> {}

/// Implemented for [`Cache`] if a `T` can be in a key in a shared store.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be part of the cache key in a shared store",
    label = "every part of the key must be `Hash + Eq + Clone + Send + Sync + 'static` and `serde::Serialize`",
    note = "derive the missing traits, or write `key = (...)` with what identifies the result (for a float: `key = (x.to_bits(),)`; for a map: a sorted `Vec`), or leave the argument out with `skip(...)`"
)]
pub trait CanKeySharedBy<T: ?Sized> {}

#[diagnostic::do_not_recommend]
impl<T: KeyType> CanKeyBy<T> for Cache {}

#[diagnostic::do_not_recommend]
impl<T: SharedKeyType> CanKeySharedBy<T> for Cache {}

// In the companions nothing is required: the mistake is reported for the function.
macro_rules! companion_cases {
    ($($wrong:ident<$argument:ty>)*) => {$(
        impl<T: ?Sized> $wrong<'_, $argument> {
            /// Returns the substitute.
            #[must_use]
            pub const fn key_part_unchecked(&self) -> InvalidKeyPart {
                InvalidKeyPart
            }

            /// Returns the substitute.
            #[must_use]
            pub const fn shared_key_part_unchecked(&self) -> InvalidKeyPart {
                InvalidKeyPart
            }
        }
    )*};
}

companion_cases! { InvalidReferenceArg<&T> InvalidOptionalReferenceArg<Option<&T>> InvalidOwnedArg<T> }

// Not by a macro: the compiler shows these lines to the user.

impl<U: ?Sized> InvalidReferenceArg<'_, &U> {
    /// Requires the traits that are missing.
    #[must_use]
    pub const fn key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeyBy<U>,
    {
        InvalidKeyPart
    }

    /// Requires the traits that are missing.
    #[must_use]
    pub const fn shared_key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeySharedBy<U>,
    {
        InvalidKeyPart
    }
}

impl<U: ?Sized> InvalidOptionalReferenceArg<'_, Option<&U>> {
    /// Requires the traits that are missing.
    #[must_use]
    pub const fn key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeyBy<U>,
    {
        InvalidKeyPart
    }

    /// Requires the traits that are missing.
    #[must_use]
    pub const fn shared_key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeySharedBy<U>,
    {
        InvalidKeyPart
    }
}

impl<T> InvalidOwnedArg<'_, T> {
    /// Requires the traits that are missing.
    #[must_use]
    pub const fn key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeyBy<T>,
    {
        InvalidKeyPart
    }

    /// Requires the traits that are missing.
    #[must_use]
    pub const fn shared_key_part(&self) -> InvalidKeyPart
    where
        Cache: CanKeySharedBy<T>,
    {
        InvalidKeyPart
    }
}

/// The substitute for an argument that cannot be in a key. Code that constructs it does not compile.
#[derive(Debug)]
pub struct InvalidKeyPart;

impl KeyPart for InvalidKeyPart {
    type Owned = ();

    fn hash_part<H: Hasher>(&self, _: &mut H) {}

    fn equivalent(&self, (): &()) -> bool {
        true
    }

    fn to_owned_part(&self) {}
}
