//! Numbers that nobody can foresee, from the keys that the standard library seeds its maps with.

use std::hash::{BuildHasher, RandomState};

/// 64 bits, other ones each time.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// More than zero, and at most one.
pub(crate) fn fraction() -> f64 {
    part(random())
}

/// The same of given bits: as many of them as a float can tell apart.
pub(crate) fn part(bits: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what is taken")]
    let part = ((bits >> 11) + 1) as f64;
    part / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_more_than_nothing_and_at_most_the_whole() {
        assert!(part(0) > 0.0);
        assert!((part(u64::MAX) - 1.0).abs() < f64::EPSILON);
        assert!((part(u64::MAX / 2) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn no_two_are_the_same() {
        let many: std::collections::HashSet<u64> = (0..1_000).map(|_| random()).collect();
        assert_eq!(many.len(), 1_000);
    }
}
