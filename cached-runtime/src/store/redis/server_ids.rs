//! The identities of the servers, for stores that distrust restarts.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use sha1::{Digest as _, Sha1};

/// The identity of a server: it changes when the server is restarted, and when it becomes the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerId {
    /// The `run_id` and the `master_replid` of the server, as the scripts compare them.
    pub(super) text: Arc<str>,
    /// What the names of keys on this server contain.
    pub(super) name: Arc<str>,
}

impl ServerId {
    pub(super) fn new(text: &str) -> Self {
        let mut name = String::with_capacity(2 * NAME_BYTES + 1);
        for byte in &Sha1::digest(text)[..NAME_BYTES] {
            let _ = write!(name, "{byte:02x}"); // Writing into a `String` does not fail.
        }
        name.push(':');
        Self { text: text.into(), name: name.into() }
    }
}

/// The number of bytes of the digest of an identity in a name: enough to tell all servers apart that a cache ever has.
const NAME_BYTES: usize = 8;

/// The last known identity of the server of each slot. A single server is that of slot 0.
///
/// It may be outdated: every script compares the identity before it does anything.
#[derive(Debug, Default)]
pub(super) struct ServerIds(RwLock<HashMap<u16, ServerId>>);

impl ServerIds {
    pub(super) fn get(&self, slot: u16) -> Option<ServerId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned()
    }

    pub(super) fn set(&self, slot: u16, id: ServerId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(slot, id);
    }
}
