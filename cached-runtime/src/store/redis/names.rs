//! The names of keys on the server.

use bytes::BytesMut;
use fred::types::{Key as Name, Value};
use fred::util::redis_keyslot;

use super::config::{Settings, Topology};
use crate::{Key, Lease};

impl Settings {
    /// Returns the slot of a key, which on the server is enclosed in braces, so that it alone decides about it.
    pub(super) fn slot(&self, key: &Key) -> u16 {
        match self.topology {
            Topology::Single => 0,
            Topology::Cluster => redis_keyslot(key.as_bytes()),
        }
    }

    /// Returns the name of a value; `server` is what it contains of the identity of the server.
    pub(super) fn value_name(&self, key: &Key, server: &str) -> Value {
        let parts = [&self.prefix, server, "{", key.as_str(), "}"];
        Value::from(parts.concat())
    }

    /// Returns the names of the values of these keys, for servers whose restarts are trusted. All are in one buffer.
    pub(super) fn value_names(&self, keys: &[Key]) -> Vec<Name> {
        let prefix = self.prefix.as_bytes();
        let length = |key: &Key| prefix.len() + key.as_bytes().len() + 2;
        let mut buffer = BytesMut::with_capacity(keys.iter().map(length).sum());
        let mut names = Vec::with_capacity(keys.len());
        for key in keys {
            for part in [prefix, b"{", key.as_bytes(), b"}"] {
                buffer.extend_from_slice(part);
            }
            names.push(Name::from(buffer.split().freeze()));
        }
        names
    }

    /// Returns the name of a large value until it is complete.
    pub(super) fn staged_name(&self, key: &Key, lease: Lease) -> String {
        format!("{}{{{key}}}:{:032x}", self.prefix, lease.token())
    }

    /// Returns the names of a value and its lease.
    pub(super) fn names(&self, key: &Key, server: &str) -> [Value; 2] {
        let prefix = &self.prefix;
        let lease = [prefix, server, "{", key.as_str(), "}", LEASE_SUFFIX].concat();
        [self.value_name(key, server), Value::from(lease)]
    }
}

/// Follows the name of a value in the name of its lease.
pub(super) const LEASE_SUFFIX: &str = ":l";
