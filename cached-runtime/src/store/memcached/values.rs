//! The operations on values.

use std::time::Duration;

use bytes::Bytes;

use super::connection::BatchReply;
use super::protocol::{Batch, ItemKind, Reply, StoreCondition};
use super::results::{array, first, too_large, unexpected_reply};
use super::{Memcached, exptime};
use crate::store::traffic::Traffic;
use crate::{Error, ErrorKind, Key, Result};

impl Memcached {
    /// Returns the values of several keys, which have this size together, in bytes, as far as it is known.
    pub(super) async fn get_values(&self, keys: &[Key], bytes: usize) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let get = |batch: Batch, keys: &[Key]| batch.get(keys.iter().map(|key| self.server_key(key)));
        // With several servers, the keys would have to be split by server and the replies joined here.
        let batch = keys.chunks(MAX_KEYS_PER_GET).fold(Batch::new(), get);
        let reply = self.run_for(Traffic::Read(bytes), batch).await?;
        let mut values = Vec::new();
        for reply in reply.replies {
            match reply {
                // Usually the only reply.
                Reply::Values(found) if values.is_empty() => values = found,
                Reply::Values(found) => {
                    values.extend(found);
                }
                other => return Err(unexpected_reply(&other)),
            }
        }
        Ok(values)
    }

    /// Returns the size of a value in bytes; 0 if there is none.
    pub(super) async fn size_of_value(&self, key: &Key) -> Result<usize> {
        let batch = Batch::new().get_header(self.server_key(key));
        match first(self.run_for(Traffic::Size, batch).await?.replies)? {
            Reply::Header { size, kind: ItemKind::Value, .. } => Ok(size),
            Reply::Header { kind: ItemKind::Reservation, .. } | Reply::Miss => Ok(0),
            other => Err(unexpected_reply(&other)),
        }
    }

    /// Stores a value unconditionally.
    pub(super) async fn put_value(&self, key: &Key, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.check_value(value)?;
        let batch = Batch::new()
            .store(
                self.server_key(key),
                value,
                ttl.map_or(0, exptime),
                StoreCondition::Always,
                ItemKind::Value,
            )
            .delete(self.lock_key(key));
        let [stored, _] = array(self.run_for(Traffic::Write(value.len()), batch).await?.replies)?;
        match stored {
            Reply::Done { .. } => Ok(()),
            other => Err(self.refusal(&other, value)),
        }
    }

    /// Stores a value if the key has none, and returns the value that it has afterwards.
    pub(super) async fn add_value(&self, key: &Key, value: Bytes, ttl: Option<Duration>) -> Result<Bytes> {
        self.check_value(&value)?;
        let exptime = ttl.map_or(0, exptime);
        let server_key = self.server_key(key);
        for _ in 0..MAX_ADD_ATTEMPTS {
            let batch = Batch::new()
                .store(server_key, &value, exptime, StoreCondition::IfAbsent, ItemKind::Value)
                .get_with_version(server_key);
            let BatchReply { epoch, replies } = self.run_for(Traffic::Write(value.len()), batch).await?;
            let [stored, reply] = array(replies)?;
            match (stored, reply) {
                (Reply::Done { .. }, _) => return Ok(value),
                (Reply::NotStored, Reply::Item { value: present, kind: ItemKind::Value, .. }) => {
                    return Ok(present);
                }
                // A reservation does not count as a value. Replacing it ends its lease.
                // Neither does a value that is too large to be read.
                (Reply::NotStored, Reply::Item { version, .. } | Reply::Skipped { version }) => {
                    let condition = StoreCondition::IfVersion(version);
                    let batch = Batch::new().store(server_key, &value, exptime, condition, ItemKind::Value);
                    if let Some([Reply::Done { .. }]) = self.run_in_epoch(epoch, batch).await? {
                        return Ok(value);
                    }
                }
                // The item was removed between the two commands.
                (Reply::NotStored, Reply::Miss) => {}
                (Reply::NotStored, other) | (other, _) => return Err(self.refusal(&other, &value)),
            }
        }
        Err(Error::new(ErrorKind::Rejected, "cannot add a value to a memcached key that changes too often"))
    }

    /// Removes a key.
    pub(super) async fn remove_value(&self, key: &Key) -> Result<()> {
        let batch = Batch::new().delete(self.server_key(key)).delete(self.lock_key(key));
        let [deleted, _] = array(self.run(batch).await?.replies)?;
        match deleted {
            Reply::Done { .. } | Reply::NotFound => Ok(()),
            other => Err(unexpected_reply(&other)),
        }
    }

    /// Returns an error if the value cannot be stored.
    pub(super) fn check_value(&self, value: &[u8]) -> Result<()> {
        let size_limit = &self.connections.settings().size_limit;
        if value.len() > self.config.max_value_bytes || size_limit.refuses(value.len()) {
            return Err(too_large());
        }
        Ok(())
    }

    /// Returns the error for the reply to the storing of a value, and keeps the size that the server refuses.
    pub(super) fn refusal(&self, reply: &Reply, value: &[u8]) -> Error {
        if *reply == Reply::TooLarge {
            self.connections.settings().size_limit.refused(value.len());
        }
        unexpected_reply(reply)
    }
}

/// The maximum number of keys of one `get`, so that the command fits into the line limit of any server.
const MAX_KEYS_PER_GET: usize = 100;

/// An attempt fails only if another caller changes the key between two commands.
const MAX_ADD_ATTEMPTS: usize = 4;
