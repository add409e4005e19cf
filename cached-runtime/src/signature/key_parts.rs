//! How arguments become a key in memory: looked up as they were passed, owned only when they are stored.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

use super::key_part::{KeyPart, KeyType};

/// All parts of a key: a tuple of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key",
    label = "a key is a tuple of references to what makes it",
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

/// How much an entry weighs.
pub(crate) type Weigh<K, S> = fn(&K, &S) -> u64;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_none_are_two_keys() {
        assert!(!(Some(&1),).are(&(None,)));
        assert!(!(Some(&1),).are(&(Some(2),)));
        assert!(!("a", "bc").are(&("ab".to_owned(), "c".to_owned())));
    }
}
