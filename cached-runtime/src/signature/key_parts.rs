//! Whole keys: tuples of key parts, borrowed for a lookup and owned to be stored.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

use super::key_part::{KeyPart, KeyType};

/// A whole key: a tuple of key parts.
pub trait KeyParts {
    /// The form in which the key is stored.
    type Owned: KeyType;
    /// Feeds the parts to a hasher, exactly as `Owned` does.
    fn hash_parts<H: Hasher>(&self, state: &mut H);
    /// Returns `true` if the parts equal a stored key.
    fn equivalent(&self, owned: &Self::Owned) -> bool;
    /// Returns a copy to store.
    fn to_owned_key(&self) -> Self::Owned;
    /// Returns the static tags: those that are made of the arguments.
    fn tags(&self) -> Vec<String> {
        Vec::new()
    }
    /// Returns the function that weighs an entry whose success is an `S`, if the user gave one.
    #[inline]
    fn weigh<S: 'static>(&self) -> Option<WeighFn<Self::Owned, S>> {
        None
    }
}

/// The `weigh` of the user: returns how much an entry takes up.
pub(crate) type WeighFn<K, S> = fn(&K, &S) -> u64;

macro_rules! tuples {
    ($(($($name:ident $index:tt),*)),* $(,)?) => {$(
        impl<$($name: KeyPart),*> KeyParts for ($($name,)*) {
            type Owned = ($($name::Owned,)*);

            #[inline]
            fn hash_parts<S: Hasher>(&self, _state: &mut S) {
                $(self.$index.hash_part(_state);)*
            }

            #[inline]
            fn equivalent(&self, _owned: &Self::Owned) -> bool {
                true $(&& self.$index.equivalent(&_owned.$index))*
            }

            #[allow(clippy::unused_unit, reason = "the empty tuple is a key")]
            fn to_owned_key(&self) -> Self::Owned {
                ($(self.$index.to_owned_part(),)*)
            }
        }

        impl<$($name: KeyPart),*> KeyPart for ($($name,)*) {
            type Owned = ($($name::Owned,)*);

            #[inline]
            fn hash_part<S: Hasher>(&self, state: &mut S) {
                self.hash_parts(state);
            }

            #[inline]
            fn equivalent(&self, owned: &Self::Owned) -> bool {
                KeyParts::equivalent(self, owned)
            }

            fn to_owned_part(&self) -> Self::Owned {
                self.to_owned_key()
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

/// A borrowed key as quick_cache looks it up: with the hash and the equality of the owned key.
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
        self.0.equivalent(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_keys_are_not_equivalent() {
        assert!(!KeyParts::equivalent(&(Some(&1),), &(None,)));
        assert!(!KeyParts::equivalent(&(Some(&1),), &(Some(2),)));
        assert!(!KeyParts::equivalent(&("a", "bc"), &("ab".to_owned(), "c".to_owned())));
    }
}
