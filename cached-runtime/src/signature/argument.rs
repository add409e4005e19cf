//! The dispatch from an argument to its key part, by type.
#![allow(clippy::unused_self, reason = "method lookup selects these methods by the type of `self`")]

use std::ops::Deref;

use super::key_part::{KeyPart, KeyType};
use super::shared_key::SharedKeyType;

/// The first step of the dispatch: `Arg::new(&argument).key_part()` returns the form in which the argument is looked
/// up.
///
/// Its case is a reference that is a `KeyPart`, such as `&str`. `signature/mod.rs` describes the technique.
#[derive(Debug)]
pub struct Arg<'a, T: ?Sized>(OptionalReferenceArg<'a, T>);

/// The step for an `Option` of a reference that is a `KeyPart`.
#[derive(Debug)]
pub struct OptionalReferenceArg<'a, T: ?Sized>(InvalidReferenceArg<'a, T>);

/// The error step for any other reference.
#[derive(Debug)]
pub struct InvalidReferenceArg<'a, T: ?Sized>(InvalidOptionalReferenceArg<'a, T>);

/// The error step for an `Option` of any other reference.
#[derive(Debug)]
pub struct InvalidOptionalReferenceArg<'a, T: ?Sized>(OwnedArg<'a, T>);

/// The step for a [`KeyType`] that is no reference.
#[derive(Debug)]
pub struct OwnedArg<'a, T: ?Sized>(InvalidOwnedArg<'a, T>);

/// The error step for everything else.
#[derive(Debug)]
pub struct InvalidOwnedArg<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Arg<'a, T> {
    /// Wraps a reference to the argument.
    #[inline]
    pub const fn new(argument: &'a T) -> Self {
        Self(OptionalReferenceArg(InvalidReferenceArg(InvalidOptionalReferenceArg(OwnedArg(
            InvalidOwnedArg(argument),
        )))))
    }
}

macro_rules! steps {
    ($($from:ident -> $to:ident)*) => {$(
        impl<'a, T: ?Sized> Deref for $from<'a, T> {
            type Target = $to<'a, T>;

            #[inline]
            fn deref(&self) -> &$to<'a, T> {
                &self.0
            }
        }
    )*};
}

steps! {
    Arg -> OptionalReferenceArg
    OptionalReferenceArg -> InvalidReferenceArg
    InvalidReferenceArg -> InvalidOptionalReferenceArg
    InvalidOptionalReferenceArg -> OwnedArg
    OwnedArg -> InvalidOwnedArg
}

macro_rules! argument_cases {
    ($($key_type:ident, $key_part:ident;)*) => {$(
        impl<'a, U: ?Sized> Arg<'_, &'a U>
        where
            &'a U: KeyPart<Owned: $key_type>,
        {
            /// Returns the argument: `&str` is stored as `String`, `&T` as `T`.
            #[inline]
            #[must_use]
            pub const fn $key_part(&self) -> &'a U {
                self.0.0.0.0.0.0
            }
        }

        impl<'a, U: ?Sized> OptionalReferenceArg<'_, Option<&'a U>>
        where
            &'a U: KeyPart<Owned: $key_type>,
        {
            /// Returns the argument: `Option<&str>` is stored as `Option<String>`.
            #[inline]
            #[must_use]
            pub const fn $key_part(&self) -> Option<&'a U> {
                *self.0.0.0.0.0
            }
        }

        impl<'a, T: $key_type> OwnedArg<'a, T> {
            /// Returns a reference to the argument, which is stored as it is.
            #[inline]
            #[must_use]
            pub const fn $key_part(&self) -> &'a T {
                self.0.0
            }
        }
    )*};
}

argument_cases! {
    KeyType, key_part;
    KeyType, key_part_unchecked;
    SharedKeyType, shared_key_part;
    SharedKeyType, shared_key_part_unchecked;
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;
    use std::path::Path;

    use super::*;
    use crate::signature::{KeyParts, Probe};

    #[allow(clippy::needless_pass_by_value, reason = "as the runtime calls it")]
    fn assert_found<P: KeyParts>(parts: P) {
        let hasher = quick_cache::DefaultHashBuilder::default();
        let owned = parts.to_owned_key();
        assert_eq!(hasher.hash_one(Probe(&parts)), hasher.hash_one(&owned));
        assert!(parts.equivalent(&owned));
    }

    #[test]
    fn borrowed_key_finds_the_owned_key() {
        let (id, name, list): (u64, &str, &[u8]) = (1, "one", &[1, 2]);
        assert_found((Arg::new(&id).key_part(), Arg::new(&name).key_part(), Arg::new(&list).key_part()));
        assert_found((
            Arg::new(&Some(name)).key_part(),
            Arg::new(&None::<&str>).key_part(),
            Arg::new(&Some(id)).key_part(),
        ));
        assert_found((Arg::new(&Path::new("/a")).key_part(), Arg::new(&(1, String::new())).key_part()));
        assert_found((Arg::new(&std::sync::Arc::new(3)).key_part(),));
        assert_found(());
    }
}
