//! An argument on its way to its key part.
#![allow(clippy::unused_self, reason = "Rust finds these methods by what they are called on")]

use std::ops::Deref;

use super::key_part::{KeyPart, KeyType};
use super::shared_key::SharedKeyType;

/// An argument on its way to its `KeyPart`: `Arg::new(&argument).key_part()` finds the form in which it is looked up.
///
/// Which `key_part` is meant is decided by the type of the argument: Rust looks for the method at `Arg` first and, if
/// there is none for this type, at what `Arg` derefs to, and so on. The last of them are for what can be no key: they
/// ask for what is missing, and return something that can be one, so that this is said once and nothing else. There
/// is one `key_part` at each step, so that nothing is ambiguous about an argument with a mistake in its type.
#[derive(Debug)]
pub struct Arg<'a, T: ?Sized>(OptionArg<'a, T>);

/// An argument that is no reference.
#[derive(Debug)]
pub struct OptionArg<'a, T: ?Sized>(WrongArg<'a, T>);

/// An argument that is no reference to what can be a key.
#[derive(Debug)]
pub struct WrongArg<'a, T: ?Sized>(WrongOptionArg<'a, T>);

/// An argument that is no `Option` of a reference to what can be a key.
#[derive(Debug)]
pub struct WrongOptionArg<'a, T: ?Sized>(WholeArg<'a, T>);

/// An argument that is stored as it is.
#[derive(Debug)]
pub struct WholeArg<'a, T: ?Sized>(WrongWholeArg<'a, T>);

/// An argument that can not be stored.
#[derive(Debug)]
pub struct WrongWholeArg<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Arg<'a, T> {
    /// The argument.
    #[inline]
    pub const fn new(argument: &'a T) -> Self {
        Self(OptionArg(WrongArg(WrongOptionArg(WholeArg(WrongWholeArg(argument))))))
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
    Arg -> OptionArg
    OptionArg -> WrongArg
    WrongArg -> WrongOptionArg
    WrongOptionArg -> WholeArg
    WholeArg -> WrongWholeArg
}

macro_rules! parts_of_arguments {
    ($($key_type:ident, $key_part:ident;)*) => {$(
        impl<'a, U: ?Sized> Arg<'_, &'a U>
        where
            &'a U: KeyPart<Owned: $key_type>,
        {
            /// `&str` is stored as `String`, `&T` as `T`.
            #[inline]
            #[must_use]
            pub const fn $key_part(&self) -> &'a U {
                self.0.0.0.0.0.0
            }
        }

        impl<'a, U: ?Sized> OptionArg<'_, Option<&'a U>>
        where
            &'a U: KeyPart<Owned: $key_type>,
        {
            /// `Option<&str>` is stored as `Option<String>`.
            #[inline]
            #[must_use]
            pub const fn $key_part(&self) -> Option<&'a U> {
                *self.0.0.0.0.0
            }
        }

        impl<'a, T: $key_type> WholeArg<'a, T> {
            /// Everything else is stored as it is.
            #[inline]
            #[must_use]
            pub const fn $key_part(&self) -> &'a T {
                self.0.0
            }
        }
    )*};
}

parts_of_arguments! {
    KeyType, key_part;
    KeyType, key_part_again;
    SharedKeyType, shared_key_part;
    SharedKeyType, shared_key_part_again;
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;
    use std::path::Path;

    use super::*;
    use crate::signature::{KeyParts, Probe};

    #[allow(clippy::needless_pass_by_value, reason = "as the runtime does it")]
    fn is_found<P: KeyParts>(parts: P) {
        let hasher = quick_cache::DefaultHashBuilder::default();
        let owned = parts.own();
        assert_eq!(hasher.hash_one(Probe(&parts)), hasher.hash_one(&owned));
        assert!(parts.are(&owned));
    }

    #[test]
    fn what_is_borrowed_finds_what_is_owned() {
        let (id, name, list): (u64, &str, &[u8]) = (1, "one", &[1, 2]);
        is_found((Arg::new(&id).key_part(), Arg::new(&name).key_part(), Arg::new(&list).key_part()));
        is_found((
            Arg::new(&Some(name)).key_part(),
            Arg::new(&None::<&str>).key_part(),
            Arg::new(&Some(id)).key_part(),
        ));
        is_found((Arg::new(&Path::new("/a")).key_part(), Arg::new(&(1, String::new())).key_part()));
        is_found((Arg::new(&std::sync::Arc::new(3)).key_part(),));
        is_found(());
    }
}
