//! The operations on leases.
//!
//! Leases are built on two atomic operations of Memcached: every change gives an item another version (its
//! "cas unique"), and a store can be made conditional on a version. A lease is the version of the item of its
//! key, and `fill` is a store on the condition of that version. Therefore every other change of the key ends
//! the lease, without knowing of it.
//!
//! # Keys without a value
//!
//! `mg <key> v c N<seconds>` returns the value, or stores an empty item that expires after its term, and
//! tells exactly one caller that it has won (`W`). This item is called a reservation here, and its version is
//! the lease. When the reservation of a crashed holder has expired, the next caller makes another one, with
//! another version.
//!
//! # Keys with a value
//!
//! The key has no place for a reservation, and the early refresh of Memcached (`R`, `X`) grants the right to
//! refresh only once, even if the winner crashes. So the right is a second item, the lock, which is added
//! (`ms <key>.l … ME`) in the same round trip that reads the value, and which expires after its term. The
//! winner then gives the value a new version, by appending nothing to it on the condition of the version just
//! read. The lease is that new version together with the version of the lock. These cases can occur:
//!
//! - *Two callers*: one adds the lock. The other one is not granted the lease; the version of the lock
//!   identifies the holder.
//! - *The value is replaced or removed between the read and the append*: the append fails, the lock is
//!   deleted, and the caller gets the current value without a lease.
//! - *The value is replaced, removed, evicted or expires later*: its version is gone, and `fill` stores
//!   nothing.
//! - *The holder crashes*: the lock expires, and `fill` checks the lock first. The next holder gives the
//!   value a new version, so that a holder that was delayed between that check and the store cannot fill
//!   either.
//! - *The key has a reservation*: another caller holds the lease of a key without a value; the lock is
//!   deleted.
//! - *The key has no item*: the same command makes a reservation, and the lease is one of a key without a
//!   value.
//! - *`put` and `remove`* delete the lock after they have changed the key, so that the next lease can be
//!   acquired at once. If this deletes the lock of a holder that has acquired it in between, two callers may
//!   compute, and only the last one can fill.
//!
//! # Restarts of the server
//!
//! Versions count from 1 after every start of the server, so that an old lease could match a new item. Every
//! lease therefore contains the epoch of the server, which is determined by the handshake.

use std::time::Duration;

use bytes::Bytes;

use super::connection::BatchReply;
use super::lease_token::LeaseToken;
use super::protocol::{Batch, Epoch, Reply, StoreCondition};
use super::results::{Occupant, array, first, item, unexpected_reply, without_reservation};
use super::{Memcached, exptime};
use crate::{Acquired, Key, Lease, LeaseId, Result};

impl Memcached {
    /// Acquires the lease of a key without a value.
    pub(super) async fn acquire_if_absent(&self, key: &Key, term: Duration) -> Result<Acquired> {
        let batch = Batch::new().get_or_reserve(self.server_key(key), exptime(term));
        let BatchReply { epoch, replies } = self.run(batch).await?;
        let [reply] = array(replies)?;
        match item(reply)? {
            (Occupant::Value(value), _) => Ok(Acquired::found(value)),
            (Occupant::Reservation { won }, version) => Ok(reserved(epoch, version, won)),
            // A value that cannot be read counts as none, and may be replaced.
            (Occupant::Skipped, _) => self.acquire_or_replace(key, term).await,
        }
    }

    /// Acquires the lease of a key with or without a value.
    pub(super) async fn acquire_or_replace(&self, key: &Key, term: Duration) -> Result<Acquired> {
        let (server_key, lock_key) = (self.server_key(key), self.lock_key(key));
        let exptime = exptime(term);
        let batch = Batch::new()
            .store(lock_key, LOCK_VALUE, exptime, StoreCondition::IfAbsent)
            .read_version(lock_key)
            .get_or_reserve(server_key, exptime);
        let BatchReply { epoch, replies } = self.run(batch).await?;
        let [added, lock, reply] = array(replies)?;
        let own_lock = match added {
            Reply::Done { version } => Some(version),
            Reply::NotStored => None,
            other => return Err(unexpected_reply(&other)),
        };
        let (occupant, version) = item(reply)?;

        let value = match occupant {
            Occupant::Value(value) => Some(value),
            Occupant::Skipped => None,
            Occupant::Reservation { won } => {
                if let Some(lock) = own_lock {
                    self.delete_lock(key, epoch, lock).await?;
                }
                return Ok(reserved(epoch, version, won));
            }
        };
        if let Some(lock) = own_lock {
            return self.acquire_locked(key, epoch, value, version, lock).await;
        }
        let holder = match lock {
            Reply::Done { version } => Some(lease_id(epoch, version)),
            Reply::Miss => None, // The lock was deleted between the two commands.
            other => return Err(unexpected_reply(&other)),
        };
        Ok(Acquired::held(value, holder))
    }

    /// Acquires the lease of a key with a value, after the lock was added.
    async fn acquire_locked(
        &self,
        key: &Key,
        epoch: Epoch,
        value: Option<Bytes>,
        version: u64,
        lock: u64,
    ) -> Result<Acquired> {
        let batch = Batch::new().renew_version(self.server_key(key), version);
        let Some([reply]) = self.run_in_epoch(epoch, batch).await? else {
            return Ok(Acquired::held(None, None));
        };
        match reply {
            Reply::Done { version } => {
                Ok(match (LeaseToken { epoch, version, lock: Some(lock) }).to_lease() {
                    Some(lease) => Acquired::granted(value, lease),
                    None => Acquired::held(value, None),
                })
            }
            Reply::Exists | Reply::NotFound | Reply::NotStored => {
                let batch = Batch::new()
                    .delete_if_version(self.lock_key(key), lock)
                    .get_with_version(self.server_key(key));
                let value = match self.run_in_epoch(epoch, batch).await? {
                    Some([_, Reply::Item { value, .. }]) => without_reservation(value),
                    Some([_, Reply::Miss | Reply::Skipped { .. }]) | None => None,
                    Some([_, other]) => return Err(unexpected_reply(&other)),
                };
                Ok(Acquired::held(value, None))
            }
            other => Err(unexpected_reply(&other)),
        }
    }

    /// Extends a lease.
    ///
    /// Memcached has no conditional `touch`. The versions are therefore checked first, so that another item
    /// gets another ttl only if it is stored between the check and the `touch`.
    pub(super) async fn extend_lease(&self, key: &Key, lease: Lease, term: Duration) -> Result<bool> {
        let Some(LeaseToken { epoch, version, lock }) = LeaseToken::from_lease(lease) else {
            return Ok(false);
        };
        let (server_key, lock_key) = (self.server_key(key), self.lock_key(key));
        let has_version = |reply: &Reply, version: u64| *reply == Reply::Done { version };

        let batch = Batch::new().read_version(server_key).read_version(lock_key);
        let Some([of_key, of_lock]) = self.run_in_epoch(epoch, batch).await? else {
            return Ok(false);
        };
        if !has_version(&of_key, version) || lock.is_some_and(|lock| !has_version(&of_lock, lock)) {
            return Ok(false);
        }
        let (touched, expected) = lock.map_or((server_key, version), |lock| (lock_key, lock));
        let batch = Batch::new().touch(touched, exptime(term));
        let Some([reply]) = self.run_in_epoch(epoch, batch).await? else {
            return Ok(false);
        };
        Ok(has_version(&reply, expected))
    }

    /// Stores a value if the lease is still held.
    pub(super) async fn fill_leased(
        &self,
        key: &Key,
        lease: Lease,
        value: &[u8],
        ttl: Duration,
    ) -> Result<bool> {
        if let Err(error) = self.check_value(value) {
            // The error of the value is returned, whether or not the release succeeds.
            let _ = self.release_lease(key, lease).await;
            return Err(error);
        }
        let Some(LeaseToken { epoch, version, lock }) = LeaseToken::from_lease(lease) else {
            return Ok(false);
        };
        let condition = StoreCondition::IfVersion(version);
        let batch = Batch::new().store(self.server_key(key), value, exptime(ttl), condition);
        let batch = match lock {
            None => batch,
            // The version proves that the value was not changed; only the lock proves that the term is not
            // over.
            Some(lock) => {
                let read_lock = Batch::new().read_version(self.lock_key(key));
                if self.run_in_epoch(epoch, read_lock).await? != Some([Reply::Done { version: lock }]) {
                    return Ok(false);
                }
                batch.delete_if_version(self.lock_key(key), lock)
            }
        };
        let Some(BatchReply { replies, .. }) = self.connections.run(batch, Some(epoch)).await? else {
            return Ok(false);
        };
        match first(replies)? {
            Reply::Done { .. } => Ok(true),
            Reply::Exists | Reply::NotFound | Reply::NotStored => Ok(false),
            other => Err(self.refusal(&other, value)),
        }
    }

    /// Releases a lease, if it is still held.
    pub(super) async fn release_lease(&self, key: &Key, lease: Lease) -> Result<()> {
        let Some(LeaseToken { epoch, version, lock }) = LeaseToken::from_lease(lease) else {
            return Ok(());
        };
        if let Some(lock) = lock {
            return self.delete_lock(key, epoch, lock).await;
        }
        let batch = Batch::new().delete_if_version(self.server_key(key), version);
        match self.run_in_epoch(epoch, batch).await? {
            Some([Reply::Done { .. } | Reply::NotFound | Reply::Exists]) | None => Ok(()),
            Some([other]) => Err(unexpected_reply(&other)),
        }
    }

    /// Deletes a lock of this version.
    async fn delete_lock(&self, key: &Key, epoch: Epoch, lock: u64) -> Result<()> {
        let batch = Batch::new().delete_if_version(self.lock_key(key), lock);
        match self.run_in_epoch(epoch, batch).await? {
            Some([Reply::Done { .. } | Reply::NotFound | Reply::Exists]) | None => Ok(()),
            Some([other]) => Err(unexpected_reply(&other)),
        }
    }
}

/// Returns the result for a key with a reservation, which this caller has made if it has `won`.
fn reserved(epoch: Epoch, version: u64, won: bool) -> Acquired {
    if !won {
        return Acquired::held(None, Some(lease_id(epoch, version)));
    }
    match (LeaseToken { epoch, version, lock: None }).to_lease() {
        Some(lease) => Acquired::granted(None, lease),
        None => Acquired::held(None, None),
    }
}

/// Returns the identity of the lease whose reservation or lock has this version.
fn lease_id(epoch: Epoch, version: u64) -> LeaseId {
    LeaseId::new(u128::from(epoch.0) << 64 | u128::from(version))
}

/// The value of a lock; only its presence matters.
const LOCK_VALUE: &[u8] = b"1";
