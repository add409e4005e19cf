//! How arguments become a key in memory: looked up as they were passed, owned only when they are stored.
#![allow(clippy::unused_self, reason = "Rust finds these methods by what they are called on")]

use std::any::Any;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use quick_cache::Equivalent;

/// What every part of the key must be.
pub trait KeyType: Hash + Eq + Clone + Send + Sync + 'static {}

impl<T: Hash + Eq + Clone + Send + Sync + 'static> KeyType for T {}

/// What finds values in memory by keys made of `T`; for messages.
///
/// It is not asked of `T` itself, or else the compiler would say that a reference to it would do.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be part of the cache key",
    label = "every part of the key must be `Hash + Eq + Clone + Send + Sync + 'static`",
    note = "derive the missing traits, or write `key = (...)` with what identifies the result (for a float: `key = (x.to_bits(),)`; for a map: a sorted `Vec`), or leave the argument out with `skip(...)`"
)]
pub trait CanKeyBy<T: ?Sized> {}

/// What finds values in a shared store by keys made of `T`; for messages.
#[diagnostic::on_unimplemented(
    message = "`{T}` cannot be part of the cache key in a shared store",
    label = "every part of the key must be `Hash + Eq + Clone + Send + Sync + 'static` and `serde::Serialize`",
    note = "derive the missing traits, or write `key = (...)` with what identifies the result (for a float: `key = (x.to_bits(),)`; for a map: a sorted `Vec`), or leave the argument out with `skip(...)`"
)]
pub trait CanKeySharedBy<T: ?Sized> {}

/// Whatever remembers, for messages.
#[derive(Debug)]
pub struct Cache;

#[diagnostic::do_not_recommend]
impl<T: KeyType> CanKeyBy<T> for Cache {}

#[diagnostic::do_not_recommend]
impl<T: SharedKeyType> CanKeySharedBy<T> for Cache {}

/// One part of a key, borrowed from an argument.
///
/// It hashes like what it owns, so that it finds what it owns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a part of a key",
    label = "a part of a key is a reference: `&42_u64`, `\"en\"`, `&bytes[..]`",
    note = "write a tuple of references, with exactly the types of the arguments: `(&42_u64, \"en\")`"
)]
pub trait KeyPart {
    /// What is stored.
    type Owned: KeyType;
    /// Feeds the part to a hasher, as `Owned` would.
    fn hash_part<H: Hasher>(&self, state: &mut H);
    /// Whether it equals a stored part.
    fn is(&self, owned: &Self::Owned) -> bool;
    /// A copy to store.
    fn own(&self) -> Self::Owned;
}

impl<T: KeyType> KeyPart for &T {
    type Owned = T;

    #[inline]
    fn hash_part<H: Hasher>(&self, state: &mut H) {
        self.hash(state);
    }

    #[inline]
    fn is(&self, owned: &T) -> bool {
        *self == owned
    }

    fn own(&self) -> T {
        (*self).clone()
    }
}

macro_rules! unsized_parts {
    ($($borrowed:ty => $owned:ty),*) => {$(
        impl KeyPart for &$borrowed {
            type Owned = $owned;

            #[inline]
            fn hash_part<H: Hasher>(&self, state: &mut H) {
                self.hash(state);
            }

            #[inline]
            fn is(&self, owned: &$owned) -> bool {
                **self == **owned
            }

            fn own(&self) -> $owned {
                (*self).to_owned()
            }
        }
    )*};
}

unsized_parts!(str => String, Path => PathBuf, OsStr => OsString, CStr => CString);

impl<T: KeyType> KeyPart for &[T] {
    type Owned = Vec<T>;

    #[inline]
    fn hash_part<H: Hasher>(&self, state: &mut H) {
        self.hash(state);
    }

    #[inline]
    fn is(&self, owned: &Vec<T>) -> bool {
        *self == owned.as_slice()
    }

    fn own(&self) -> Vec<T> {
        self.to_vec()
    }
}

impl<P: KeyPart> KeyPart for Option<P> {
    type Owned = Option<P::Owned>;

    #[inline]
    fn hash_part<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        if let Some(key_part) = self {
            key_part.hash_part(state);
        }
    }

    #[inline]
    fn is(&self, owned: &Self::Owned) -> bool {
        match (self, owned) {
            (Some(key_part), Some(owned)) => key_part.is(owned),
            (None, None) => true,
            _ => false,
        }
    }

    fn own(&self) -> Self::Owned {
        self.as_ref().map(KeyPart::own)
    }
}

/// All parts of a key: a tuple of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key",
    label = "a key is a tuple of references to its parts",
    note = "write `(&42_u64,)`, or `(&42_u64, \"en\")`, with exactly the types of the arguments"
)]
pub trait KeyParts {
    /// What is stored.
    type Owned: KeyType;
    /// Feeds the parts to a hasher, as `Owned` would.
    fn hash_parts<H: Hasher>(&self, state: &mut H);
    /// Whether they equal a stored key.
    fn are(&self, owned: &Self::Owned) -> bool;
    /// A copy to store.
    fn own(&self) -> Self::Owned;
    /// The tags that the arguments tell.
    fn tags(&self) -> Vec<String> {
        Vec::new()
    }
    /// How much an entry weighs whose value is an `S`, if the user says so.
    #[inline]
    fn weigh<S: 'static>(&self) -> Option<Weigh<Self::Owned, S>> {
        None
    }
}

/// A key that comes with `tags("user:{id}")`.
pub struct WithTags<P, F> {
    parts: P,
    tags: F,
}

/// A key with its tags, which are made only when they are needed.
#[inline]
pub fn with_tags<P: KeyParts, F: Fn() -> Vec<String>>(parts: P, tags: F) -> WithTags<P, F> {
    WithTags { parts, tags }
}

impl<P: KeyParts, F: Fn() -> Vec<String>> KeyParts for WithTags<P, F> {
    type Owned = P::Owned;

    #[inline]
    fn hash_parts<H: Hasher>(&self, state: &mut H) {
        self.parts.hash_parts(state);
    }

    #[inline]
    fn are(&self, owned: &P::Owned) -> bool {
        self.parts.are(owned)
    }

    fn own(&self) -> P::Owned {
        self.parts.own()
    }

    fn tags(&self) -> Vec<String> {
        (self.tags)()
    }

    #[inline]
    fn weigh<S: 'static>(&self) -> Option<Weigh<P::Owned, S>> {
        self.parts.weigh()
    }
}

impl<P: fmt::Debug, F> fmt::Debug for WithTags<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTags").field("parts", &self.parts).finish_non_exhaustive()
    }
}

/// How much an entry weighs.
pub(crate) type Weigh<K, S> = fn(&K, &S) -> u64;

/// A key that comes with `weigh = |key, value| ...`.
#[derive(Debug)]
pub struct WithWeight<P: KeyParts, S> {
    pub(crate) parts: P,
    pub(crate) weigh: Weigh<P::Owned, S>,
}

impl<P: KeyParts, S: 'static> KeyParts for WithWeight<P, S> {
    type Owned = P::Owned;

    #[inline]
    fn hash_parts<H: Hasher>(&self, state: &mut H) {
        self.parts.hash_parts(state);
    }

    #[inline]
    fn are(&self, owned: &P::Owned) -> bool {
        self.parts.are(owned)
    }

    fn own(&self) -> P::Owned {
        self.parts.own()
    }

    fn tags(&self) -> Vec<String> {
        self.parts.tags()
    }

    #[inline]
    fn weigh<T: 'static>(&self) -> Option<Weigh<P::Owned, T>> {
        // `T` is `S`; only the compiler does not know.
        (&self.weigh as &dyn Any).downcast_ref().copied()
    }
}

/// What a part of the key of a value in a shared store must be.
#[cfg(feature = "store")]
pub trait SharedKeyType: KeyType + serde::Serialize {}

#[cfg(feature = "store")]
impl<T: KeyType + serde::Serialize> SharedKeyType for T {}

/// All parts of the key of a value in a shared store.
#[cfg(feature = "store")]
pub trait SharedKeyParts: KeyParts<Owned: serde::Serialize> {}

#[cfg(feature = "store")]
impl<P: KeyParts<Owned: serde::Serialize>> SharedKeyParts for P {}

// In a build without shared stores there is one error, and it is about that.

/// What a part of the key of a value in a shared store must be.
#[cfg(not(feature = "store"))]
pub trait SharedKeyType: KeyType {}

#[cfg(not(feature = "store"))]
impl<T: KeyType> SharedKeyType for T {}

/// All parts of the key of a value in a shared store.
#[cfg(not(feature = "store"))]
pub trait SharedKeyParts: KeyParts {}

#[cfg(not(feature = "store"))]
impl<P: KeyParts> SharedKeyParts for P {}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*)),* $(,)?) => {$(
        impl<$($name: KeyPart),*> KeyParts for ($($name,)*) {
            type Owned = ($($name::Owned,)*);

            #[inline]
            fn hash_parts<S: Hasher>(&self, _state: &mut S) {
                $(self.$index.hash_part(_state);)*
            }

            #[inline]
            fn are(&self, _owned: &Self::Owned) -> bool {
                true $(&& self.$index.is(&_owned.$index))*
            }

            #[allow(clippy::unused_unit, reason = "the empty tuple is a key as well")]
            fn own(&self) -> Self::Owned {
                ($(self.$index.own(),)*)
            }
        }

        impl<$($name: KeyPart),*> KeyPart for ($($name,)*) {
            type Owned = ($($name::Owned,)*);

            #[inline]
            fn hash_part<S: Hasher>(&self, state: &mut S) {
                self.hash_parts(state);
            }

            #[inline]
            fn is(&self, owned: &Self::Owned) -> bool {
                self.are(owned)
            }

            fn own(&self) -> Self::Owned {
                KeyParts::own(self)
            }
        }
    )*};
}

tuples! {
    (),
    (A 0),
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
    (A 0, B 1, C 2, D 3, E 4),
    (A 0, B 1, C 2, D 3, E 4, F 5),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11),
}

/// Parts on their way into a table: what `Hash` and `Equivalent` are asked of.
#[derive(Debug)]
pub(crate) struct Probe<'a, P>(pub(crate) &'a P);

impl<P: KeyParts> Hash for Probe<'_, P> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_parts(state);
    }
}

impl<P: KeyParts> Equivalent<P::Owned> for Probe<'_, P> {
    #[inline]
    fn equivalent(&self, key: &P::Owned) -> bool {
        self.0.are(key)
    }
}

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

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

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

    #[test]
    fn one_and_none_are_two_keys() {
        assert!(!(Some(&1),).are(&(None,)));
        assert!(!(Some(&1),).are(&(Some(2),)));
        assert!(!("a", "bc").are(&("ab".to_owned(), "c".to_owned())));
    }
}
