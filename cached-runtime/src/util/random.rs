//! Random numbers: cheap ones, and tokens that no other process draws.

use std::hash::{BuildHasher, RandomState};
use std::process;

/// Returns 64 random bits, for delays and probabilities.
///
/// They come from the keys with which the standard library seeds its maps. A forked process inherits these keys, so its
/// number is hashed too. Tell processes apart by a [`token`] instead.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(process::id())
}

/// Returns 64 random bits of the operating system, for numbers that must not repeat in any process.
///
/// Nothing of them is kept in the process, so a forked process draws others.
#[cfg(feature = "store")]
pub(crate) fn token() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::getrandom(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // Linux has a second source, `/dev/urandom`, which `getrandom` tries. Without both, the process and the time
        // still differ.
        Err(_) => RandomState::new().hash_one((process::id(), std::time::SystemTime::now())),
    }
}

/// Returns a random number above 0 and up to 1.
pub(crate) fn fraction() -> f64 {
    fraction_from_bits(random())
}

/// Maps bits uniformly to a number above 0 and up to 1, by the upper 53 of them: the precision of an `f64`.
pub(crate) fn fraction_from_bits(bits: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let numerator = ((bits >> 11) + 1) as f64;
    numerator / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_is_above_zero_and_up_to_one() {
        assert!(fraction_from_bits(0) > 0.0);
        assert!((fraction_from_bits(u64::MAX) - 1.0).abs() < f64::EPSILON);
        assert!((fraction_from_bits(u64::MAX / 2) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn random_numbers_differ() {
        let many: std::collections::HashSet<u64> = (0..1_000).map(|_| random()).collect();
        assert_eq!(many.len(), 1_000);
    }

    #[cfg(feature = "store")]
    #[test]
    fn tokens_differ() {
        let many: std::collections::HashSet<u64> = (0..1_000).map(|_| token()).collect();
        assert_eq!(many.len(), 1_000);
    }
}
