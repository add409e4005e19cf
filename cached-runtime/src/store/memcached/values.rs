//! Values.

use std::time::Duration;

use bytes::Bytes;

use super::connection::Answer;
use super::protocol::{Reply, Script, When};
use super::results::{array, refused, unless_reserved};
use super::{Memcached, from_now};
use crate::{Error, ErrorKind, Key, Result};

impl Memcached {
    pub(super) async fn read(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let read = |script: Script, keys: &[Key]| script.read(keys.iter().map(|key| self.name(key)));
        // All keys are on one server; with several, the keys are split by it and the answers joined.
        let answer = self.run(keys.chunks(MOST_KEYS).fold(Script::new(), read)).await?;
        let mut values = Vec::with_capacity(keys.len());
        for reply in answer.replies {
            match reply {
                Reply::Values(found) => values.extend(found.into_iter().map(unless_reserved)),
                other => return Err(refused(&other)),
            }
        }
        Ok(values)
    }

    pub(super) async fn store_always(&self, key: &Key, value: &[u8], ttl: Option<Duration>) -> Result<()> {
        self.check(value)?;
        let seconds = ttl.map_or(0, from_now);
        let script =
            Script::new().store(self.name(key), value, seconds, When::Always).delete(self.lock_name(key));
        let [stored, _] = array(self.run(script).await?.replies)?;
        match stored {
            Reply::Done { .. } => Ok(()),
            other => Err(refused(&other)),
        }
    }

    pub(super) async fn store_vacant(&self, key: &Key, value: Bytes, ttl: Option<Duration>) -> Result<Bytes> {
        self.check(&value)?;
        let seconds = ttl.map_or(0, from_now);
        let name = self.name(key);
        for _ in 0..ADD_TRIES {
            let script = Script::new().store(name, &value, seconds, When::Vacant).read_with_version(name);
            let Answer { epoch, replies } = self.run(script).await?;
            let [stored, reply] = array(replies)?;
            match (stored, reply) {
                (Reply::Done { .. }, _) => return Ok(value),
                (Reply::NotStored, Reply::Item { value: there, .. }) if !there.is_empty() => {
                    return Ok(there);
                }
                // A reservation counts as nothing, and is replaced; its lease is void then.
                (Reply::NotStored, Reply::Item { version, .. }) => {
                    let script = Script::new().store(name, &value, seconds, When::Version(version));
                    if let Some([Reply::Done { .. }]) = self.run_in(epoch, script).await? {
                        return Ok(value);
                    }
                }
                // It went away between the two.
                (Reply::NotStored, Reply::Miss) => {}
                (Reply::NotStored, other) | (other, _) => return Err(refused(&other)),
            }
        }
        Err(Error::new(ErrorKind::Rejected, "a key of memcached changes too fast to add a value"))
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<()> {
        let script = Script::new().delete(self.name(key)).delete(self.lock_name(key));
        let [deleted, _] = array(self.run(script).await?.replies)?;
        match deleted {
            Reply::Done { .. } | Reply::Absent => Ok(()),
            other => Err(refused(&other)),
        }
    }
}

/// So many keys are read by one command; it has to fit into the line of a server that is not too generous.
const MOST_KEYS: usize = 100;

/// Each takes another change by someone else in the blink between two commands.
const ADD_TRIES: usize = 4;
