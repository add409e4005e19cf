//! Random numbers, from the keys with which the standard library seeds its maps.

use std::hash::{BuildHasher, RandomState};

/// Returns 64 random bits.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
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
}
