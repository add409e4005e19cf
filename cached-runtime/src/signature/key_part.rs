//! One part of a key.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// What a part of the key must be.
pub trait KeyType: Hash + Eq + Clone + Send + Sync + 'static {}

impl<T: Hash + Eq + Clone + Send + Sync + 'static> KeyType for T {}

/// One part of a key, borrowed from an argument.
///
/// It hashes like what it owns, so that it finds what it owns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key_part of a key",
    label = "a key_part of a key is a reference: `&42_u64`, `\"en\"`, `&text[..]`",
    note = "a key is a tuple of such parts, of exactly the types of the arguments: `(&42_u64, \"en\")`"
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
