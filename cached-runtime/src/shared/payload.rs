//! An encoded value with its lifetime, before it is sealed in an envelope.

use std::time::Duration;

use bytes::Bytes;

use super::envelope::{self, Header};
use crate::util::{millis, unix_millis};
use crate::{Error, ErrorKind, Key, Result};

/// An encoded value that is to be stored.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ttl: Duration,
    /// How long it stays in the store after it has become stale.
    pub(crate) retention: Duration,
    pub(crate) codec_id: u8,
    pub(crate) fingerprint: u64,
    /// The keys of the generations of its derived tags.
    pub(crate) derived_tag_keys: Vec<Key>,
}

impl Payload {
    /// Returns how long it stays in the store: fresh, then stale.
    pub(crate) fn store_ttl(&self) -> Duration {
        self.ttl.saturating_add(self.retention)
    }

    /// Returns it in an envelope for this key, fresh from now on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] if it does not fit into an envelope.
    pub(crate) fn seal(
        &self,
        key: &Key,
        generations: &[u64],
        derived_generations: &[(Key, u64)],
        compute_time: Duration,
    ) -> Result<Bytes> {
        let now = unix_millis();
        let header = Header {
            codec_id: self.codec_id,
            fingerprint: self.fingerprint,
            computed_at: now,
            fresh_until: now.saturating_add(millis(self.ttl)),
            compute_time: u32::try_from(compute_time.as_millis()).unwrap_or(u32::MAX),
            generations,
            derived_generations,
        };
        envelope::seal(key, &header, &self.bytes)
            .ok_or(Error::new(ErrorKind::TooLarge, "the value is larger than 4 GiB, or has too many tags"))
    }
}
