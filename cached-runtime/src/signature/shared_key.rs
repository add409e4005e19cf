//! What keys in a shared store must be.

use super::key_part::KeyType;
use super::key_parts::KeyParts;

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
