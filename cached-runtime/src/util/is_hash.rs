//! The hasher of tables whose keys are hashes.

use std::hash::{BuildHasherDefault, Hasher};

/// Returns the number that it is given, which is a hash already: well mixed in all of its bits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct IsHash(u64);

pub(crate) type BuildIsHash = BuildHasherDefault<IsHash>;

impl Hasher for IsHash {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached, because a `u64` writes itself by `write_u64`; any mixture is correct.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
