//! What an operation sends or asks for, which connection it uses because of that, and how long that may take.
//!
//! A large value takes longer than the deadline of an operation allows, and everything behind it on the same connection
//! would wait. So large values have a connection of their own, and the time that their bytes take.

use std::time::Duration;

use super::LARGE_BYTES;
use crate::{Error, ErrorKind, Result};

/// What an operation does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Traffic {
    /// A read of values of this size, in bytes, as far as it is known.
    Read(usize),
    /// The question for the size of a value, which another operation may be reading on the main connection.
    Size,
    /// A request for a lease, which takes the time of a value of this size.
    Acquire(usize),
    /// The fill of a key with a value of this size. It has no effect once the lease has ended, so it may arrive after
    /// operations that began later.
    Fill(usize),
    /// Any other operation, with a value of this size.
    Write(usize),
}

impl Traffic {
    pub(super) fn lane(self) -> Lane {
        match self {
            Self::Size => Lane::Large,
            Self::Read(bytes) | Self::Fill(bytes) if bytes > LARGE_BYTES => Lane::Large,
            Self::Read(_) | Self::Acquire(_) | Self::Fill(_) | Self::Write(_) => Lane::Main,
        }
    }

    /// Returns how much longer than others an operation may take because of its size, at this rate in bytes per second.
    pub(super) fn transfer_time(self, min_rate: u64) -> Duration {
        let bytes = match self {
            Self::Read(bytes) | Self::Acquire(bytes) | Self::Fill(bytes) | Self::Write(bytes) => bytes,
            Self::Size => 0,
        };
        if bytes <= LARGE_BYTES {
            return Duration::ZERO;
        }
        Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / min_rate.max(1))
    }
}

/// The connections of one runtime. Large values have one of their own, so that others do not wait behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Main,
    /// Established with the first large value.
    Large,
}

/// The default of the rate at which large values must arrive, in bytes per second.
pub(super) const DEFAULT_MIN_TRANSFER_RATE: u64 = 10_000_000;

/// Returns an error if that rate is so low that an operation could take for hours.
pub(super) fn check_min_transfer_rate(bytes_per_second: u64) -> Result<()> {
    if bytes_per_second < 1_000_000 {
        return Err(Error::new(ErrorKind::Config, "the minimum transfer rate must be at least 1 MB/s"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_values_have_the_time_of_their_transfer() {
        let time = |bytes| Traffic::Write(bytes).transfer_time(2_000_000);
        assert_eq!(time(LARGE_BYTES), Duration::ZERO);
        assert_eq!(time(60_000_000), Duration::from_secs(30));
        assert!(time(usize::MAX) > Duration::from_secs(60 * 60));
        assert_eq!(Traffic::Size.transfer_time(1), Duration::ZERO);
    }

    #[test]
    fn only_what_may_overtake_others_leaves_the_main_connection() {
        let bytes = LARGE_BYTES + 1;
        for (traffic, lane) in [
            (Traffic::Read(bytes), Lane::Large),
            (Traffic::Fill(bytes), Lane::Large),
            (Traffic::Size, Lane::Large),
            (Traffic::Write(bytes), Lane::Main),
            (Traffic::Read(LARGE_BYTES), Lane::Main),
            (Traffic::Fill(LARGE_BYTES), Lane::Main),
        ] {
            assert_eq!(traffic.lane(), lane, "{traffic:?}");
        }
    }
}
