//! What keys must be in a shared store.

use super::key_part::KeyType;
use super::key_parts::KeyParts;

/// What the owned form of a key part must be in a shared store.
#[cfg(feature = "store")]
pub trait SharedKeyType: KeyType + serde::Serialize {}

#[cfg(feature = "store")]
impl<T: KeyType + serde::Serialize> SharedKeyType for T {}

/// A whole key in a shared store.
#[cfg(feature = "store")]
pub trait SharedKeyParts: KeyParts<Owned: serde::Serialize> {}

#[cfg(feature = "store")]
impl<P: KeyParts<Owned: serde::Serialize>> SharedKeyParts for P {}

// Without the feature, the only error is that it is off: no trait of serde is required.

/// What the owned form of a key part must be in a shared store.
#[cfg(not(feature = "store"))]
pub trait SharedKeyType: KeyType {}

#[cfg(not(feature = "store"))]
impl<T: KeyType> SharedKeyType for T {}

/// A whole key in a shared store.
#[cfg(not(feature = "store"))]
pub trait SharedKeyParts: KeyParts {}

#[cfg(not(feature = "store"))]
impl<P: KeyParts> SharedKeyParts for P {}
