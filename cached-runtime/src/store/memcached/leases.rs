//! Leases.
//!
//! Leases rest on two things that Memcached does atomically: it gives an item another version (its "cas unique")
//! with every change, and it stores on the condition that the version is still a given one. A lease is the
//! version of what lies under the key, and `fill` a store on that condition; so whatever else changes the key
//! voids the lease, without knowing of it.
//!
//! # A lease over nothing
//!
//! `mg <key> v c N<seconds>` returns the value, or leaves an empty item that expires by itself and tells exactly
//! one caller that it won (`W`). The lease is the version of that reservation. A holder that died is replaced
//! when the reservation has expired: the next one has another version.
//!
//! # A lease over a value
//!
//! Here nothing can be left under the key itself: Memcached's own early refresh (`R`, `X`) gives the right to
//! refresh once, and never again when the winner dies. So the right is a second item, the lock, which is added
//! (`ms <key>.l … ME`) in the same round trip that reads the value, and which expires by itself. Its winner then
//! gives the value a new version, by appending nothing to it on the condition that it is still the one just
//! read. The lease is that new version together with the version of the lock. What may happen meanwhile:
//!
//! - *Two callers*: one adds the lock, the other is told that somebody is busy, and by the version of the lock who.
//! - *The value is replaced or removed between the read and the append*: the append fails; the lock is given
//!   back, and the caller is told what lies there now, without a lease.
//! - *The value is replaced, removed, evicted or expires later*: its version is gone, and `fill` stores nothing.
//! - *The holder dies*: its lock expires, and `fill` looks for the lock first. The next one renews the version, so
//!   that a holder who was held up between that look and the store can not fill either.
//! - *The key has a reservation*: somebody holds the lease over nothing; the lock is given back.
//! - *The key has nothing*: the same command leaves a reservation, and the lease is an ordinary one.
//! - *`put` and `remove`* delete the lock after they changed the key, so that the next lease can be had at once.
//!   Should that hit the lock of a holder that came in between, two may compute, of whom the last can fill.
//!
//! # After a restart
//!
//! Versions count from 1 after every start of the server, so that a lease from before could fit an item from
//! after it. Every lease therefore carries the epoch of the server, which is asked for when it is dialled.

use std::time::Duration;

use bytes::Bytes;

use super::connection::Answer;
use super::lease_token::Held;
use super::protocol::{Epoch, Reply, Script, When};
use super::results::{array, first, item_of, refused, unless_reserved};
use super::{Memcached, from_now};
use crate::{Acquired, Key, Lease, LeaseId, Result};

impl Memcached {
    pub(super) async fn reserve(&self, key: &Key, term: Duration) -> Result<Acquired> {
        let answer = self.run(Script::new().read_or_reserve(self.name(key), from_now(term))).await?;
        let epoch = answer.epoch;
        let [reply] = array(answer.replies)?;
        let (value, version, won) = item_of(reply)?;
        Ok(match value {
            Some(value) => Acquired { value: Some(value), lease: None, holder: None },
            None => reserved(epoch, version, won),
        })
    }

    pub(super) async fn lock(&self, key: &Key, term: Duration) -> Result<Acquired> {
        let (name, lock) = (self.name(key), self.lock_name(key));
        let seconds = from_now(term);
        let script = Script::new()
            .store(lock, LOCKED, seconds, When::Vacant)
            .read_version(lock)
            .read_or_reserve(name, seconds);
        let Answer { epoch, replies } = self.run(script).await?;
        let [locked, lock, reply] = array(replies)?;
        let locked = match locked {
            Reply::Done { version } => Some(version),
            Reply::NotStored => None,
            other => return Err(refused(&other)),
        };
        let (value, version, won) = item_of(reply)?;

        match (value, locked) {
            (Some(value), None) => {
                let holder = match lock {
                    Reply::Done { version } => Some(holder(epoch, version)),
                    Reply::Miss => None, // It went in this very moment.
                    other => return Err(refused(&other)),
                };
                Ok(Acquired { value: Some(value), lease: None, holder })
            }
            (Some(value), Some(lock)) => self.renew(key, epoch, value, version, lock).await,
            (None, locked) => {
                if let Some(lock) = locked {
                    self.unlock(key, epoch, lock).await?;
                }
                Ok(reserved(epoch, version, won))
            }
        }
    }

    /// The last step to a lease over a value, for whoever has the lock.
    pub(super) async fn renew(
        &self,
        key: &Key,
        epoch: Epoch,
        value: Bytes,
        version: u64,
        lock: u64,
    ) -> Result<Acquired> {
        let script = Script::new().renew_version(self.name(key), version);
        let Some([reply]) = self.run_in(epoch, script).await? else {
            return Ok(Acquired { value: None, lease: None, holder: None });
        };
        match reply {
            Reply::Done { version } => {
                let lease = Held { epoch, version, lock: Some(lock) }.lease();
                Ok(Acquired { value: Some(value), lease, holder: None })
            }
            Reply::Exists | Reply::Absent | Reply::NotStored => {
                let script =
                    Script::new().delete_version(self.lock_name(key), lock).read_with_version(self.name(key));
                let value = match self.run_in(epoch, script).await? {
                    Some([_, Reply::Item { value, .. }]) => unless_reserved(Some(value)),
                    Some([_, Reply::Miss]) | None => None,
                    Some([_, other]) => return Err(refused(&other)),
                };
                Ok(Acquired { value, lease: None, holder: None })
            }
            other => Err(refused(&other)),
        }
    }

    /// Memcached can not touch on a condition. So the version is looked at first, and what may be there instead
    /// is not given another ttl, unless it came in the blink between.
    pub(super) async fn prolong(&self, key: &Key, lease: Lease, term: Duration) -> Result<bool> {
        let Some(Held { epoch, version, lock }) = Held::of(lease) else {
            return Ok(false);
        };
        let (name, lock_name) = (self.name(key), self.lock_name(key));
        let is = |reply: &Reply, version: u64| *reply == Reply::Done { version };

        let script = Script::new().read_version(name).read_version(lock_name);
        let Some([of_key, of_lock]) = self.run_in(epoch, script).await? else {
            return Ok(false);
        };
        if !is(&of_key, version) || lock.is_some_and(|lock| !is(&of_lock, lock)) {
            return Ok(false);
        }
        let (touched, expected) = lock.map_or((name, version), |lock| (lock_name, lock));
        let script = Script::new().touch(touched, from_now(term));
        let Some([reply]) = self.run_in(epoch, script).await? else {
            return Ok(false);
        };
        Ok(is(&reply, expected))
    }

    pub(super) async fn store_leased(
        &self,
        key: &Key,
        lease: Lease,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool> {
        if let Err(error) = self.check(value) {
            // The value is the reason, whether the lease could be given back or not.
            let _ = self.give_back(key, lease).await;
            return Err(error);
        }
        let Some(Held { epoch, version, lock }) = Held::of(lease) else {
            return Ok(false);
        };
        let script = Script::new().store(self.name(key), value, from_now(ttl), When::Version(version));
        let script = match lock {
            None => script,
            // The version tells that nobody else came; only the lock tells that the term is not over.
            Some(lock) => {
                let of_lock = self.run_in(epoch, Script::new().read_version(self.lock_name(key))).await?;
                if of_lock != Some([Reply::Done { version: lock }]) {
                    return Ok(false);
                }
                script.delete_version(self.lock_name(key), lock)
            }
        };
        let Some(Answer { replies, .. }) = self.server.run(script, Some(epoch)).await? else {
            return Ok(false);
        };
        match first(replies)? {
            Reply::Done { .. } => Ok(true),
            Reply::Exists | Reply::Absent | Reply::NotStored => Ok(false),
            other => Err(refused(&other)),
        }
    }

    pub(super) async fn give_back(&self, key: &Key, lease: Lease) -> Result<()> {
        let Some(Held { epoch, version, lock }) = Held::of(lease) else {
            return Ok(());
        };
        if let Some(lock) = lock {
            return self.unlock(key, epoch, lock).await;
        }
        match self.run_in(epoch, Script::new().delete_version(self.name(key), version)).await? {
            Some([Reply::Done { .. } | Reply::Absent | Reply::Exists]) | None => Ok(()),
            Some([other]) => Err(refused(&other)),
        }
    }

    pub(super) async fn unlock(&self, key: &Key, epoch: Epoch, lock: u64) -> Result<()> {
        match self.run_in(epoch, Script::new().delete_version(self.lock_name(key), lock)).await? {
            Some([Reply::Done { .. } | Reply::Absent | Reply::Exists]) | None => Ok(()),
            Some([other]) => Err(refused(&other)),
        }
    }
}

/// What a reservation means to one who asked for the lease.
fn reserved(epoch: Epoch, version: u64, won: bool) -> Acquired {
    let (lease, holder) = if won {
        (Held { epoch, version, lock: None }.lease(), None)
    } else {
        (None, Some(holder(epoch, version)))
    };
    Acquired { value: None, lease, holder }
}

/// Whoever made a reservation or a lock of this version.
fn holder(epoch: Epoch, version: u64) -> LeaseId {
    LeaseId::new(u128::from(epoch.0) << 64 | u128::from(version))
}

/// What lies under a lock; only that it is there counts.
const LOCKED: &[u8] = b"1";
