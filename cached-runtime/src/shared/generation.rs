//! One generation, as it is in a store.

use bytes::Bytes;

use crate::util::random;

/// A number that values depend on. That of a tag says also when values with earlier numbers stopped being fresh.
///
/// The number of a tag consists of a random *era*, and of the count of expirations in it. A value whose number has the same
/// era was expired; one with another era was invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    /// The time of the last expiration, in milliseconds since the Unix epoch; 0 if there was none.
    pub(crate) expired_at: u64,
}

/// The part of the number of a tag that counts expirations.
const COUNT: u64 = 0xffff;

impl Generation {
    pub(crate) const fn new(number: u64) -> Self {
        Self { number, expired_at: 0 }
    }

    /// Returns a new generation of a namespace.
    pub(crate) fn random() -> Self {
        Self::new(random::token())
    }

    /// Returns a new generation of a tag: a new era.
    pub(crate) fn of_tag() -> Self {
        Self::new(random::token() & !COUNT)
    }

    /// Returns the generation of a tag after an expiration at this time; `None` if its era has no number left.
    pub(crate) fn after_expiration(self, now: u64) -> Option<Self> {
        let has_next = self.number & COUNT != COUNT;
        has_next.then(|| Self { number: self.number + 1, expired_at: now })
    }

    /// Returns when a value with the number `own` of this tag stopped being fresh; `None` if it was invalidated.
    pub(crate) const fn stale_since(self, own: u64) -> Option<u64> {
        match self.number ^ own {
            0 => Some(u64::MAX),
            1..=COUNT => Some(self.expired_at),
            _ => None,
        }
    }

    /// Parses a generation; `None` if it has neither 8 nor 16 bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        let expired_at = if rest.is_empty() { 0 } else { u64::from_be_bytes(rest.try_into().ok()?) };
        Some(Self { number: u64::from_be_bytes(*number), expired_at })
    }

    pub(crate) fn to_bytes(self) -> Bytes {
        let mut bytes = self.number.to_be_bytes().to_vec();
        if self.expired_at > 0 {
            bytes.extend(self.expired_at.to_be_bytes());
        }
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_generation() {
        for generation in [Generation::random(), Generation { number: 0x0102_0304_0506_0000, expired_at: 7 }]
        {
            assert_eq!(Generation::from_bytes(&generation.to_bytes()), Some(generation));
        }
        assert_eq!(Generation::new(258).to_bytes(), [0, 0, 0, 0, 0, 0, 1, 2].as_slice());
        for length in [0, 7, 9, 15, 17, 24] {
            assert_eq!(Generation::from_bytes(&vec![1; length]), None, "{length}");
        }
    }

    #[test]
    fn value_is_fresh_stale_or_gone() {
        let first = Generation::of_tag();
        let second = first.after_expiration(1_000).unwrap();
        let third = second.after_expiration(2_000).unwrap();
        assert_eq!(first.stale_since(first.number), Some(u64::MAX));
        assert_eq!(second.stale_since(first.number), Some(1_000));
        assert_eq!(third.stale_since(first.number), Some(2_000));
        assert_eq!(third.stale_since(third.number), Some(u64::MAX));
        assert_eq!(Generation::of_tag().stale_since(third.number), None);
    }

    #[test]
    fn an_era_ends() {
        let mut generation = Generation::of_tag();
        let first = generation;
        while let Some(next) = generation.after_expiration(1) {
            generation = next;
        }
        assert_eq!(generation.number, first.number + COUNT);
        assert_eq!(generation.stale_since(first.number), Some(1));
    }
}
