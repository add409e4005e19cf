//! What the number of a lease means.

use super::protocol::Epoch;
use crate::Lease;

/// What the number of a [`Lease`] means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) epoch: Epoch,
    /// Of what lies under the key.
    pub(super) version: u64,
    /// Of the lock, for a lease over a value.
    pub(super) lock: Option<u64>,
}

impl Held {
    /// 32 bits for the epoch, 48 for each version; no lock is 0, which no item has.
    ///
    /// `None` if a version does not fit, after 280 million million stores, or is 0, as it always is where the
    /// server was told to keep none (`-C`): no lease is safer than a wrong one.
    pub(super) fn lease(self) -> Option<Lease> {
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

    /// `None` for a number that is no lease of ours: version 0 would be no condition at all.
    pub(super) fn of(lease: Lease) -> Option<Self> {
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
    fn a_lease_keeps_what_it_stands_for() {
        for held in [
            Held { epoch: Epoch(0), version: 1, lock: None },
            Held { epoch: Epoch(u32::MAX), version: (1 << 48) - 1, lock: Some((1 << 48) - 1) },
            Held { epoch: Epoch(7), version: 8, lock: Some(9) },
        ] {
            assert_eq!(Held::of(held.lease().unwrap()), Some(held));
        }
    }

    #[test]
    fn a_version_that_does_not_fit_gives_no_lease() {
        assert_eq!(Held { epoch: Epoch(0), version: 1 << 48, lock: None }.lease(), None);
        assert_eq!(Held { epoch: Epoch(0), version: 1, lock: Some(1 << 48) }.lease(), None);
    }

    #[test]
    fn a_server_without_versions_gives_no_lease() {
        assert_eq!(Held { epoch: Epoch(1), version: 0, lock: None }.lease(), None);
        assert_eq!(Held { epoch: Epoch(1), version: 1, lock: Some(0) }.lease(), None);
        assert_eq!(Held::of(Lease::new(7 << 96)), None);
    }
}
