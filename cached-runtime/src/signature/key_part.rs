//! One part of a key, borrowed from an argument.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// What the owned form of a key part must be.
pub trait KeyType: Hash + Eq + Clone + Send + Sync + 'static {}

impl<T: Hash + Eq + Clone + Send + Sync + 'static> KeyType for T {}

/// One part of a key, borrowed from an argument.
///
/// It has the hash of its owned form, so that a lookup needs no owned key.
pub trait KeyPart {
    /// The form in which the part is stored.
    type Owned: KeyType;
    /// Feeds the part to a hasher, exactly as `Owned` does.
    fn hash_part<H: Hasher>(&self, state: &mut H);
    /// Returns `true` if the part equals a stored part.
    fn equivalent(&self, owned: &Self::Owned) -> bool;
    /// Returns a copy to store.
    fn to_owned_part(&self) -> Self::Owned;
}

impl<T: KeyType> KeyPart for &T {
    type Owned = T;

    #[inline]
    fn hash_part<H: Hasher>(&self, state: &mut H) {
        self.hash(state);
    }

    #[inline]
    fn equivalent(&self, owned: &T) -> bool {
        *self == owned
    }

    fn to_owned_part(&self) -> T {
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
            fn equivalent(&self, owned: &$owned) -> bool {
                **self == **owned
            }

            fn to_owned_part(&self) -> $owned {
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
    fn equivalent(&self, owned: &Vec<T>) -> bool {
        *self == owned.as_slice()
    }

    fn to_owned_part(&self) -> Vec<T> {
        self.to_vec()
    }
}

impl<P: KeyPart> KeyPart for Option<P> {
    type Owned = Option<P::Owned>;

    #[inline]
    fn hash_part<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        if let Some(part) = self {
            part.hash_part(state);
        }
    }

    #[inline]
    fn equivalent(&self, owned: &Self::Owned) -> bool {
        match (self, owned) {
            (Some(part), Some(owned)) => part.equivalent(owned),
            (None, None) => true,
            _ => false,
        }
    }

    fn to_owned_part(&self) -> Self::Owned {
        self.as_ref().map(KeyPart::to_owned_part)
    }
}
