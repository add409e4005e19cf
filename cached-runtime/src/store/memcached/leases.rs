//! The operations on leases.
//!
//! Leases are built on two atomic operations of Memcached: every change gives an item another version (its
//! "cas unique"), and a store can be made conditional on a version. The holder of a lease changes the key on the
//! condition that its version is still the one that was read. Any other change of the key gives it another version, and
//! so ends the lease.
//!
//! # Keys without a value
//!
//! The caller adds a *reservation* under the key (`ms <key> … ME`). If there is an item, it reads the key. The
//! reservation contains the token of the lease and expires after its term. Its client flags tell it from a value.
//! `fill` replaces it by the value, on the condition of its version, which this process keeps or reads.
//!
//! # Keys with a value
//!
//! The key has no place for a reservation, and the early refresh of Memcached (`R`, `X`) grants the right to
//! refresh only once, even if the winner crashes. So the right is a second item, the lock. The caller reads the version of
//! the value, and adds the lock under `<key>.l`. It contains the token and that version, and expires after its
//! term. `fill` reads both items, and replaces the value on the condition of that version. These cases can occur:
//!
//! - *Two callers*: one adds the lock. The other one is not granted the lease; the token in the lock
//!   identifies the holder.
//! - *The value is replaced or removed before the lock is added*: the value is read again, together with the adding;
//!   if it has another version, the lock is deleted, and the caller begins anew.
//! - *The value is replaced, removed, evicted or expires later*: its version is gone, and `fill` stores
//!   nothing.
//! - *The holder crashes*: the lock expires, and `fill` checks the lock first. If a holder is delayed between that
//!   check and the store, beyond its term, it can still fill, as long as the value has not changed. The next holder can
//!   then not: its version is gone.
//! - *The fill is late*: a large value has a connection of its own, so that its fill may arrive after operations that began
//!   later. The server compares the version when the whole value has arrived. If the key was changed meanwhile, nothing is
//!   stored; if only the lock has ended, the value is as good as it was, and the next holder cannot fill.
//! - *`put` and `remove`* delete the lock after they have changed the key, so that the next lease can be
//!   acquired at once. If this deletes the lock of a holder that has acquired it in between, two callers may
//!   compute, and only the last one can fill.
//!
//! # The end of an attempt
//!
//! A lease that is released leaves its reservation or lock for some seconds, without a token, if something is known about
//! the attempt. The next lease takes that over. Otherwise it is deleted.
//!
//! # Restarts of the server
//!
//! Versions count from 1 after every start of the server, so that an old version could match a new item. Both round
//! trips of an operation therefore have to meet the same epoch of the server, which is determined by the handshake of
//! each connection.

use std::time::Duration;

use super::connection::BatchReply;
use super::protocol::{Batch, Epoch, ItemKind, Reply, ServerKey, StoreCondition};
use super::reservation::Reservation;
use super::results::{Occupant, array, first, header, item, unexpected_reply, versioned};
use super::{Memcached, exptime};
use crate::store::LARGE_BYTES;
use crate::store::traffic::Traffic;
use crate::{Acquired, Key, LastAttempt, Lease, LeaseId, LeaseMode, Result, ValueId};

/// What holds a lease.
struct Held {
    epoch: Epoch,
    reservation: Reservation,
    /// The version of the reservation, if that is what holds it.
    of_key: Option<u64>,
    /// The version of the lock, if that is what holds it.
    of_lock: Option<u64>,
    /// Whether the value still is the one that the lock was added for.
    is_current: bool,
}

impl Held {
    const fn reservation(epoch: Epoch, reservation: Reservation, version: u64) -> Self {
        Self { epoch, reservation, of_key: Some(version), of_lock: None, is_current: true }
    }
}

impl Memcached {
    /// Acquires a lease.
    pub(super) async fn acquire_lease(
        &self,
        key: &Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> Result<Acquired> {
        for _ in 0..MAX_ATTEMPTS {
            // Usually there is no item, so that one round trip does.
            let added = match mode {
                LeaseMode::IfAbsent => self.add_reservation(key, lease, term).await?,
                LeaseMode::Replace | LeaseMode::TakeOver | LeaseMode::IfUnchanged(_) => None,
            };
            let acquired = match added {
                Some(acquired) => Some(acquired),
                None => self.try_acquire(key, lease, term, mode).await?,
            };
            if let Some(acquired) = acquired {
                return Ok(acquired);
            }
        }
        Ok(Acquired::held(None))
    }

    /// Adds a reservation; `None` if there is an item.
    async fn add_reservation(&self, key: &Key, lease: Lease, term: Duration) -> Result<Option<Acquired>> {
        let (server_key, own) = (self.server_key(key), Reservation::of(lease));
        let batch = reserve(Batch::new(), server_key, own, term, StoreCondition::IfAbsent);
        let BatchReply { epoch, replies } = self.run(batch).await?;
        match first(replies)? {
            Reply::Done { version } => {
                self.granted.remember(lease, epoch, versioned(version)?);
                Ok(Some(Acquired::granted()))
            }
            Reply::NotStored => Ok(None),
            other => Err(unexpected_reply(&other)),
        }
    }

    /// Replaces a reservation whose lease has ended, or is to end; `None` if it changed meanwhile.
    async fn take_over(
        &self,
        key: &Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
        epoch: Epoch,
        (found, version): (Reservation, u64),
    ) -> Result<Option<Acquired>> {
        let last_attempt = match found.lease.filter(|holder| *holder != lease) {
            Some(_) if mode == LeaseMode::TakeOver => LastAttempt::Unknown,
            Some(holder) => {
                let held = Acquired::held(Some(lease_id(holder)));
                return Ok(Some(held.after(found.last_attempt)));
            }
            None => found.last_attempt,
        };
        let own = Reservation { last_attempt, ..Reservation::of(lease) };
        let condition = StoreCondition::IfVersion(version);
        let batch = reserve(Batch::new(), self.server_key(key), own, term, condition);
        let is_own = is_done(self.run_in_epoch(epoch, batch).await?)?;
        Ok(is_own.then(|| Acquired::granted().after(last_attempt)))
    }

    /// Tries to acquire the lease of a key with an item; `None` if the key changed meanwhile.
    async fn try_acquire(
        &self,
        key: &Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> Result<Option<Acquired>> {
        let batch = match mode {
            LeaseMode::IfUnchanged(id) if id.size() <= LARGE_BYTES => {
                Batch::new().get_with_version(self.server_key(key))
            }
            _ => Batch::new().get_header(self.server_key(key)),
        };
        let BatchReply { epoch, replies } = self.run(batch.get_with_version(self.lock_key(key))).await?;
        let [of_key, of_lock] = array(replies)?;
        let (found, version) = match self.found(of_key)? {
            None => return self.add_reservation(key, lease, term).await,
            Some((Found::Reservation(Some(found)), version)) => {
                return self.take_over(key, lease, term, mode, epoch, (found, version)).await;
            }
            Some((Found::Reservation(None), _)) => {
                return match self.read_reservation(key).await? {
                    Some((epoch, found, version)) => {
                        self.take_over(key, lease, term, mode, epoch, (found, version)).await
                    }
                    None => Ok(None),
                };
            }
            Some((Found::Value { size, id }, version)) => (Some((size, id)), version),
            // A value that cannot be read counts as none, and may be replaced.
            Some((Found::Skipped, version)) => (None, version),
        };
        if found.is_some_and(|(size, id)| is_another(mode, size, id)) {
            return Ok(Some(Acquired::found()));
        }
        let mut lock = Reservation { version: Some(version), ..Reservation::of(lease) };
        let condition = match item(of_lock)? {
            Some((Occupant::Reservation(holding), of_lock)) => {
                match holding.lease.filter(|holder| *holder != lease) {
                    Some(_) if mode == LeaseMode::TakeOver => {}
                    Some(holder) => {
                        let held = Acquired::held(Some(lease_id(holder)));
                        return Ok(Some(held.after(holding.last_attempt)));
                    }
                    None => lock.last_attempt = holding.last_attempt,
                }
                StoreCondition::IfVersion(of_lock)
            }
            Some((Occupant::Value(_) | Occupant::Skipped, of_lock)) => StoreCondition::IfVersion(of_lock),
            None => StoreCondition::IfAbsent,
        };
        if let (LeaseMode::IfUnchanged(_), Some((size, None))) = (mode, found) {
            // Last, because it takes the longest.
            let Some(id) = self.value_id(key, epoch, size, version).await? else { return Ok(None) };
            if is_another(mode, size, Some(id)) {
                return Ok(Some(Acquired::found()));
            }
        }
        let is_locked = self.lock(key, epoch, lock, term, condition).await?;
        Ok(is_locked.then(|| Acquired::granted().after(lock.last_attempt)))
    }

    /// Returns what was found under a key, and its version; `None` if there is nothing.
    fn found(&self, reply: Reply) -> Result<Option<(Found, u64)>> {
        if let Reply::Header { size, version, kind } = reply {
            let found = match kind {
                ItemKind::Reservation => Found::Reservation(None),
                ItemKind::Value if size > self.config.max_value_bytes => Found::Skipped,
                ItemKind::Value => Found::Value { size, id: None },
            };
            return Ok(Some((found, versioned(version)?)));
        }
        Ok(item(reply)?.map(|(occupant, version)| {
            let found = match occupant {
                Occupant::Value(value) => Found::Value { size: value.len(), id: Some(ValueId::of(&value)) },
                Occupant::Skipped => Found::Skipped,
                Occupant::Reservation(reservation) => Found::Reservation(Some(reservation)),
            };
            (found, version)
        }))
    }

    /// Reads a value of this size and version, to tell it from others; `None` if it changed meanwhile.
    async fn value_id(&self, key: &Key, epoch: Epoch, size: usize, version: u64) -> Result<Option<ValueId>> {
        let batch = Batch::new().get_with_version(self.server_key(key));
        let Some(reply) = self.connections.run(Traffic::Read(size), batch, Some(epoch)).await? else {
            return Ok(None);
        };
        Ok(match item(first(reply.replies)?)? {
            Some((Occupant::Value(value), found)) if found == version => Some(ValueId::of(&value)),
            Some(_) | None => None,
        })
    }

    /// Adds the lock beside a value; returns `false`, and leaves no lock, if the value or the lock changed meanwhile.
    async fn lock(
        &self,
        key: &Key,
        epoch: Epoch,
        lock: Reservation,
        term: Duration,
        condition: StoreCondition,
    ) -> Result<bool> {
        let batch =
            reserve(Batch::new(), self.lock_key(key), lock, term, condition).get_header(self.server_key(key));
        let Some([added, of_key]) = self.run_in_epoch(epoch, batch).await? else { return Ok(false) };
        let of_lock = match added {
            Reply::Done { version } => version,
            Reply::NotStored | Reply::Exists | Reply::NotFound => return Ok(false),
            other => return Err(unexpected_reply(&other)),
        };
        if header(&of_key)?.map(|(_, version)| version) == lock.version {
            return Ok(true);
        }
        let batch = Batch::new().delete_if_version(self.lock_key(key), of_lock);
        is_done(self.run_in_epoch(epoch, batch).await?).map(|_| false)
    }

    /// Returns what holds a lease, as this process has kept it or else as the server has it; `None` if it was lost.
    async fn held(&self, key: &Key, lease: Lease) -> Result<Option<Held>> {
        match self.granted.take(lease) {
            Some((epoch, version)) => Ok(Some(Held::reservation(epoch, Reservation::of(lease), version))),
            None => self.find(key, lease).await,
        }
    }

    /// Returns what holds a lease; `None` if it was lost. It reads no value, which may be large.
    async fn find(&self, key: &Key, lease: Lease) -> Result<Option<Held>> {
        let batch = Batch::new().get_header(self.server_key(key)).get_with_version(self.lock_key(key));
        let BatchReply { epoch, replies } = self.run(batch).await?;
        let [of_key, of_lock] = array(replies)?;
        let of_key = header(&of_key)?;
        if matches!(of_key, Some((ItemKind::Reservation, _)))
            && let Some(held) = self.find_reservation(key, lease).await?
        {
            return Ok(Some(held));
        }
        let Some((Occupant::Reservation(reservation), lock)) = item(of_lock)? else { return Ok(None) };
        if reservation.lease != Some(lease) {
            return Ok(None);
        }
        let is_current = of_key.is_some_and(|(_, version)| Some(version) == reservation.version);
        Ok(Some(Held { epoch, reservation, of_key: None, of_lock: Some(lock), is_current }))
    }

    /// Returns the reservation of a key if it is that of a lease.
    async fn find_reservation(&self, key: &Key, lease: Lease) -> Result<Option<Held>> {
        let found = self.read_reservation(key).await?;
        Ok(found.and_then(|(epoch, reservation, version)| {
            (reservation.lease == Some(lease)).then(|| Held::reservation(epoch, reservation, version))
        }))
    }

    /// Returns the reservation of a key, if there is one, and its version.
    async fn read_reservation(&self, key: &Key) -> Result<Option<(Epoch, Reservation, u64)>> {
        let batch = Batch::new().get_with_version(self.server_key(key));
        let BatchReply { epoch, replies } = self.run(batch).await?;
        Ok(match item(first(replies)?)? {
            Some((Occupant::Reservation(reservation), version)) => Some((epoch, reservation, version)),
            Some(_) | None => None,
        })
    }

    /// Extends a lease.
    pub(super) async fn extend_lease(&self, key: &Key, lease: Lease, term: Duration) -> Result<bool> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.held(key, lease).await?.filter(|held| held.is_current) else {
                return Ok(false);
            };
            if self.replace(key, &held, held.reservation, term).await? {
                return Ok(true);
            }
        }
        Ok(false)
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
            let _ = self.release_lease(key, lease, LastAttempt::NotStored).await;
            return Err(error);
        }
        // An extension of the lease that crosses the fill changes the version.
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.held(key, lease).await? else { return Ok(false) };
            if !held.is_current {
                self.end(key, &held, LastAttempt::Unknown).await?;
                return Ok(false);
            }
            let version = held.of_key.or(held.reservation.version).unwrap_or_default();
            let batch = Batch::new().store(
                self.server_key(key),
                value,
                exptime(ttl),
                StoreCondition::IfVersion(version),
                ItemKind::Value,
            );
            let batch = match held.of_lock {
                None => batch,
                Some(lock) => batch.delete_if_version(self.lock_key(key), lock),
            };
            let traffic = Traffic::Fill(value.len());
            let Some(reply) = self.connections.run(traffic, batch, Some(held.epoch)).await? else {
                return Ok(false);
            };
            match first(reply.replies)? {
                Reply::Done { .. } => return Ok(true),
                Reply::Exists | Reply::NotFound | Reply::NotStored => {}
                other => return Err(self.refusal(&other, value)),
            }
        }
        Ok(false)
    }

    /// Releases a lease, if it is still held.
    pub(super) async fn release_lease(&self, key: &Key, lease: Lease, attempt: LastAttempt) -> Result<()> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.held(key, lease).await? else { return Ok(()) };
            if self.end(key, &held, attempt).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Ends a lease; returns `false` if what holds it changed meanwhile.
    async fn end(&self, key: &Key, held: &Held, attempt: LastAttempt) -> Result<bool> {
        if attempt != LastAttempt::Unknown {
            return self.replace(key, held, Reservation::ended(attempt), ATTEMPT_MEMORY).await;
        }
        let batch = match (held.of_key, held.of_lock) {
            (Some(version), _) => Batch::new().delete_if_version(self.server_key(key), version),
            (None, Some(version)) => Batch::new().delete_if_version(self.lock_key(key), version),
            (None, None) => return Ok(true),
        };
        is_done(self.run_in_epoch(held.epoch, batch).await?)
    }

    /// Replaces what holds a lease; returns `false` if it changed meanwhile.
    async fn replace(&self, key: &Key, held: &Held, by: Reservation, term: Duration) -> Result<bool> {
        let (server_key, version) = match (held.of_key, held.of_lock) {
            (Some(version), _) => (self.server_key(key), version),
            (None, Some(version)) => (self.lock_key(key), version),
            (None, None) => return Ok(true),
        };
        let batch = reserve(Batch::new(), server_key, by, term, StoreCondition::IfVersion(version));
        is_done(self.run_in_epoch(held.epoch, batch).await?)
    }
}

/// What is under a key, as far as it was read.
enum Found {
    Value {
        size: usize,
        id: Option<ValueId>,
    },
    /// A value that is too large to be read.
    Skipped,
    Reservation(Option<Reservation>),
}

/// Returns `true` if a value, as far as it was read, is not one that may be replaced.
fn is_another(mode: LeaseMode, size: usize, id: Option<ValueId>) -> bool {
    match mode {
        LeaseMode::IfAbsent => true,
        LeaseMode::Replace | LeaseMode::TakeOver => false,
        LeaseMode::IfUnchanged(expected) => {
            size != expected.size() || id.is_some_and(|found| found != expected)
        }
    }
}

/// Appends the storing of a reservation or a lock to a batch.
fn reserve(
    batch: Batch,
    key: ServerKey<'_>,
    reservation: Reservation,
    term: Duration,
    condition: StoreCondition,
) -> Batch {
    batch.store(key, &reservation.encode(), exptime(term), condition, ItemKind::Reservation)
}

/// Returns whether the command of a batch has changed what it should; `None` is a server that was restarted.
fn is_done(reply: Option<[Reply; 1]>) -> Result<bool> {
    match reply {
        Some([Reply::Done { .. }]) => Ok(true),
        Some([Reply::NotFound | Reply::Exists | Reply::NotStored]) | None => Ok(false),
        Some([other]) => Err(unexpected_reply(&other)),
    }
}

/// Returns the identity of a lease.
fn lease_id(lease: Lease) -> LeaseId {
    LeaseId::new(lease.token())
}

/// An attempt fails only if another caller changes the key, or what holds the lease, between two round trips.
const MAX_ATTEMPTS: usize = 4;

/// For how long the end of an attempt is kept without another lease: waiting callers ask several times meanwhile.
const ATTEMPT_MEMORY: Duration = Duration::from_secs(10);
