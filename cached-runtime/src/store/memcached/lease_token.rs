//! The token of a lease.

use super::protocol::Epoch;
use crate::Lease;

/// The content of the token of a [`Lease`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeaseToken {
    pub(super) epoch: Epoch,
    /// The version of the item of the key: a value or a reservation.
    pub(super) version: u64,
    /// The version of the lock item, for a lease of a key with a value.
    pub(super) lock: Option<u64>,
}

impl LeaseToken {
    /// Encodes the token: 32 bits for the epoch and 48 for each version. A missing lock is 0, which is no
    /// version.
    ///
    /// Returns `None` if a version does not fit, which takes 2^48 stores, or is 0, as always on a server
    /// without versions (`memcached -C`): no lease is safer than a wrong one.
    pub(super) fn to_lease(self) -> Option<Lease> {
        let fits = |version: u64| version != 0 && version >> VERSION_BITS == 0;
        if !fits(self.version) || self.lock.is_some_and(|lock| !fits(lock)) {
            return None;
        }
        let lock = self.lock.unwrap_or(0);
        let token = u128::from(self.epoch.0) << (2 * VERSION_BITS)
            | u128::from(lock) << VERSION_BITS
            | u128::from(self.version);
        Some(Lease::new(token))
    }

    /// Decodes a token. Returns `None` if it was not encoded by [`LeaseToken::to_lease`]: version 0 would
    /// store unconditionally.
    pub(super) fn from_lease(lease: Lease) -> Option<Self> {
        let bits = |shift: u32| ((lease.token() >> shift) & ((1 << VERSION_BITS) - 1)) as u64;
        let (version, lock) = (bits(0), bits(VERSION_BITS));
        let epoch = Epoch((lease.token() >> (2 * VERSION_BITS)) as u32);
        (version != 0).then_some(Self { epoch, version, lock: (lock != 0).then_some(lock) })
    }
}

const VERSION_BITS: u32 = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_round_trips() {
        for token in [
            LeaseToken { epoch: Epoch(0), version: 1, lock: None },
            LeaseToken { epoch: Epoch(u32::MAX), version: (1 << 48) - 1, lock: Some((1 << 48) - 1) },
            LeaseToken { epoch: Epoch(7), version: 8, lock: Some(9) },
        ] {
            assert_eq!(LeaseToken::from_lease(token.to_lease().unwrap()), Some(token));
        }
    }

    #[test]
    fn version_that_does_not_fit_gives_no_lease() {
        assert_eq!(LeaseToken { epoch: Epoch(0), version: 1 << 48, lock: None }.to_lease(), None);
        assert_eq!(LeaseToken { epoch: Epoch(0), version: 1, lock: Some(1 << 48) }.to_lease(), None);
    }

    #[test]
    fn version_zero_gives_no_lease() {
        assert_eq!(LeaseToken { epoch: Epoch(1), version: 0, lock: None }.to_lease(), None);
        assert_eq!(LeaseToken { epoch: Epoch(1), version: 1, lock: Some(0) }.to_lease(), None);
        assert_eq!(LeaseToken::from_lease(Lease::new(7 << 96)), None);
    }
}
