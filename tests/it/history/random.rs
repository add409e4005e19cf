//! A pseudorandom number generator with a seed.

use std::hash::{BuildHasher as _, RandomState};

/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Returns the seed of a run: from the environment, or a random one.
pub(super) fn seed() -> u64 {
    match std::env::var("CACHED_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap_or_else(|_| panic!("CACHED_TEST_SEED={seed:?} is not a number")),
        Err(_) => RandomState::new().hash_one(0) >> 32,
    }
}
