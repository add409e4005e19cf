//! What a reservation says: who holds a lease, and how the attempt before it ended.

use std::str;

use crate::{LastAttempt, Lease};

/// The content of a reservation, or of the lock beside a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reservation {
    /// How the attempt before this one ended.
    pub(super) last_attempt: LastAttempt,
    /// The lease; `None` if it has ended and only the memory of the attempt is left.
    pub(super) lease: Option<Lease>,
    /// In a lock, the version of the value that the lease was acquired on.
    pub(super) version: Option<u64>,
}

impl Reservation {
    /// The reservation of a lease, with nothing known about the attempt before it.
    pub(super) const fn of(lease: Lease) -> Self {
        Self { last_attempt: LastAttempt::Unknown, lease: Some(lease), version: None }
    }

    /// The memory of an attempt that ended like this.
    pub(super) const fn ended(last_attempt: LastAttempt) -> Self {
        Self { last_attempt, lease: None, version: None }
    }

    /// Encodes it: a letter for the last attempt, the token in 32 hexadecimal digits, the version in decimal digits.
    pub(super) fn encode(self) -> Vec<u8> {
        let letter = match self.last_attempt {
            LastAttempt::Unknown => UNKNOWN,
            LastAttempt::Failed => FAILED,
            LastAttempt::NotStored => NOT_STORED,
        };
        let token = self.lease.map(|lease| format!("{:032x}", lease.token())).unwrap_or_default();
        let version = self.version.map(|version| version.to_string()).unwrap_or_default();
        format!("{}{token}{version}", char::from(letter)).into_bytes()
    }

    /// Decodes it. What this crate has not encoded holds no lease.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        let last_attempt = match bytes.first() {
            Some(&FAILED) => LastAttempt::Failed,
            Some(&NOT_STORED) => LastAttempt::NotStored,
            Some(_) | None => LastAttempt::Unknown,
        };
        let text = |from, to| str::from_utf8(bytes.get(from..to)?).ok();
        let lease = text(1, TOKEN_END).and_then(|token| u128::from_str_radix(token, 16).ok()).map(Lease::new);
        let version = text(TOKEN_END, bytes.len()).and_then(|version| version.parse().ok());
        Self { last_attempt, lease, version }
    }
}

const UNKNOWN: u8 = b'-';
const FAILED: u8 = b'x';
const NOT_STORED: u8 = b'n';

/// Where the token ends: after the letter and 32 digits.
const TOKEN_END: usize = 33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservation_round_trips() {
        for last_attempt in [LastAttempt::Unknown, LastAttempt::Failed, LastAttempt::NotStored] {
            for (lease, version) in
                [(None, None), (Some(Lease::new(0)), None), (Some(Lease::new(u128::MAX)), Some(u64::MAX))]
            {
                let reservation = Reservation { last_attempt, lease, version };
                assert_eq!(Reservation::decode(&reservation.encode()), reservation);
            }
        }
    }

    #[test]
    fn foreign_bytes_hold_no_lease() {
        for bytes in [&b""[..], b"1", b"-7", &[0xFF; 40], b"-0000000000000000000000000000000g"] {
            let decoded = Reservation::decode(bytes);
            assert_eq!((decoded.lease, decoded.last_attempt), (None, LastAttempt::Unknown), "{bytes:?}");
        }
    }
}
