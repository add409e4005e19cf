//! A value in bytes, with its lifetime.

use std::time::Duration;

use bytes::Bytes;

use super::envelope;
use super::envelope::Header;
use crate::util::{millis, unix_millis};
use crate::{Error, ErrorKind, Key, Result};

/// A value in bytes, with its lifetime.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ttl: Duration,
    /// How long it stays in the store after it was fresh.
    pub(crate) retention: Duration,
    pub(crate) codec: u8,
    pub(crate) fingerprint: u64,
    /// The tags that only the value could tell.
    pub(crate) tags: Vec<Key>,
}

impl Payload {
    /// How long it stays in the store.
    pub(crate) fn term(&self) -> Duration {
        self.ttl.saturating_add(self.retention)
    }

    pub(crate) fn seal(
        &self,
        key: &Key,
        stamps: &[u64],
        named: &[(Key, u64)],
        compute_time: Duration,
    ) -> Result<Bytes> {
        let now = unix_millis();
        let label = Header {
            codec: self.codec,
            fingerprint: self.fingerprint,
            computed_at: now,
            fresh_until: now.saturating_add(millis(self.ttl)),
            compute_time: u32::try_from(compute_time.as_millis()).unwrap_or(u32::MAX),
            stamps: stamps.into(),
            named: named.into(),
        };
        envelope::seal(key, &label, &self.bytes)
            .ok_or(Error::new(ErrorKind::TooLarge, "the value is larger than 4 GiB, or has too many tags"))
    }
}
