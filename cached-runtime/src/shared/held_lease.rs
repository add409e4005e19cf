//! A held lease, and the ways to end it.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::generation::Generation;
use super::location::{Location, Tags};
use super::namespace::{Namespace, run_detached};
use super::payload::Payload;
use super::returned_leases::Grant;
use super::shutdown::{RegisteredLease, WriteInFlight};
use crate::memory::{Fill, WriteAction};
use crate::util::{limits, timer};
use crate::{ErrorKind, Key, LastAttempt, Lease, LeaseMode, Result};

/// A lease that this process holds, with what the value to be stored depends on. It is released on drop.
pub(crate) struct HeldLease {
    namespace: &'static Namespace,
    location: Location,
    /// How it was acquired.
    mode: LeaseMode,
    generations: Box<[u64]>,
    /// The epoch of all tags when the computation began, if the function has derived tags.
    epoch: Option<u64>,
    acquired_at: Instant,
    /// The same, by the clock of the timers.
    begun_at: tokio::time::Instant,
    /// `None` once it has ended.
    lease: Option<RegisteredLease>,
    /// How the attempt before this one ended: still known if this one is given up.
    last_attempt: LastAttempt,
    /// When the store last confirmed the lease.
    confirmed_at: Arc<Mutex<Instant>>,
}

impl HeldLease {
    pub(super) fn new(
        namespace: &'static Namespace,
        location: Location,
        mode: LeaseMode,
        lease: Lease,
        last_attempt: LastAttempt,
    ) -> Self {
        let registered = RegisteredLease::new(namespace, location.key.clone(), lease);
        Self {
            namespace,
            location,
            mode,
            generations: Box::default(),
            epoch: None,
            acquired_at: Instant::now(),
            begun_at: tokio::time::Instant::now(),
            lease: Some(registered),
            last_attempt,
            confirmed_at: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Reads what the value will depend on.
    ///
    /// This happens before the computation, so that a value computed from data that was invalidated meanwhile is stale
    /// from the start.
    pub(super) async fn read_generations(&mut self, known: Option<Box<[Option<Generation>]>>) -> Result<()> {
        self.generations = self.namespace.generations(&self.location, known).await?;
        if let Tags::Derived(tags) = self.location.tags {
            self.epoch = Some(tags.epoch().await?);
        }
        Ok(())
    }

    /// Writes the outcome of the computation if the lease is still held, and ends the lease.
    ///
    /// Whether other calls may use the result too is checked only if there are any: `has_waiters`.
    ///
    /// # Cancel safety
    ///
    /// The write completes even if the caller is dropped.
    pub(crate) async fn finish(self, action: WriteAction<Payload>, has_waiters: bool) -> Fill {
        let in_flight = WriteInFlight::new();
        let finished = async move {
            let _in_flight = in_flight;
            let (namespace, location, generations) =
                (self.namespace, self.location.clone(), self.generations.clone());
            let fill = match action {
                WriteAction::Store(payload) => self.fill(payload, has_waiters).await,
                WriteAction::Remove => self.remove_replaced(has_waiters).await,
                WriteAction::Keep => self.keep(has_waiters, LastAttempt::Failed).await,
            };
            // Neither a clear nor the invalidation of a tag ends leases.
            if fill == Fill::Stored && has_waiters && !namespace.are_current(&location, &generations).await {
                return Fill::Rejected;
            }
            fill
        };
        run_detached(finished).await.unwrap_or(Fill::Unknown)
    }

    /// Releases the lease and leaves what is stored; whether it was still held is checked only for waiters.
    async fn keep(self, has_waiters: bool, attempt: LastAttempt) -> Fill {
        let is_held = match &self.lease {
            Some(lease) if has_waiters => self.is_held(&lease.lease()).await,
            _ => Ok(true),
        };
        self.release(attempt).await;
        match is_held {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Rejected,
            Err(_) => Fill::Unknown,
        }
    }

    /// Returns `true` if the lease is still held, and no tag was invalidated that the value might have had.
    async fn is_held(&self, lease: &Lease) -> Result<bool> {
        let is_extended = self
            .namespace
            .with_deadline(|store| store.extend(&self.location.key, lease, limits::LEASE_TERM.time()))
            .await?;
        match (self.location.tags, self.epoch) {
            (Tags::Derived(tags), Some(epoch)) if is_extended => Ok(tags.epoch().await? == epoch),
            _ => Ok(is_extended),
        }
    }

    /// Removes the value that the lease was acquired to replace; if there was none, releases the lease only.
    async fn remove_replaced(self, has_waiters: bool) -> Fill {
        match self.mode {
            LeaseMode::Replace | LeaseMode::TakeOver | LeaseMode::IfUnchanged(_) => self.remove().await,
            LeaseMode::IfAbsent => self.keep(has_waiters, LastAttempt::NotStored).await,
        }
    }

    /// Removes the value together with the lease.
    ///
    /// If another process has filled the key after the check, its value is removed too and is computed once more.
    async fn remove(mut self) -> Fill {
        let Some(lease) = self.lease.as_ref().map(RegisteredLease::lease) else { return Fill::Unknown };
        match self.is_held(&lease).await {
            Ok(true) => {}
            Ok(false) => {
                self.release(LastAttempt::Unknown).await;
                return Fill::Rejected;
            }
            Err(_) => return Fill::Unknown,
        }
        match self.namespace.with_deadline(|store| store.remove(&self.location.key)).await {
            Ok(()) => {
                self.lease = None;
                Fill::Stored
            }
            Err(_) => Fill::Unknown,
        }
    }

    async fn fill(mut self, payload: Payload, has_waiters: bool) -> Fill {
        let derived_generations = match self.derived_generations(&payload).await {
            Ok(Some(generations)) => generations,
            Ok(None) => {
                self.release(LastAttempt::Unknown).await;
                return Fill::Rejected;
            }
            Err(_) => {
                self.release(LastAttempt::Unknown).await;
                return Fill::Unknown;
            }
        };
        let compute_time = self.acquired_at.elapsed();
        let sealed = payload.seal(&self.location.key, &self.generations, &derived_generations, compute_time);
        let Ok(bytes) = sealed.inspect_err(|error| self.namespace.report_uncacheable(error)) else {
            return self.remove_replaced(has_waiters).await;
        };
        let size = bytes.len();
        let Some(lease) = self.take_lease() else { return Fill::Unknown };
        let filled = self.namespace.fill(&self.location.key, lease, bytes, payload.store_ttl());
        match filled.await {
            Ok(true) => {
                self.namespace.sizes.record(size);
                Fill::Stored
            }
            Ok(false) => {
                self.report_if_expired();
                Fill::Rejected
            }
            // The value is too large for the store. The outdated one must not stay in its place.
            Err(error) if error.kind() == ErrorKind::TooLarge && self.mode != LeaseMode::IfAbsent => {
                // `with_deadline` reports a failure.
                let _ = self.namespace.with_deadline(|store| store.remove(&self.location.key)).await;
                Fill::Rejected
            }
            Err(_) => Fill::Unknown,
        }
    }

    /// Returns the derived tags of a value with their generations.
    ///
    /// Returns `None` if any tag was invalidated since the computation began, because it may be one of these.
    async fn derived_generations(&self, payload: &Payload) -> Result<Option<Vec<(Key, u64)>>> {
        let (Tags::Derived(tags), Some(epoch)) = (self.location.tags, self.epoch) else {
            return Ok(Some(Vec::new()));
        };
        let generations = tags.derived_generations(&payload.derived_tag_keys).await?;
        Ok((tags.epoch().await? == epoch).then_some(generations))
    }

    /// Takes the lease, which is about to end.
    fn take_lease(&mut self) -> Option<Lease> {
        self.lease.take().map(|registered| registered.lease())
    }

    /// Reports a rejected fill if its lease has expired: nobody has extended it in time.
    fn report_if_expired(&self) {
        if lock(&self.confirmed_at).elapsed() >= limits::LEASE_TERM.time() {
            self.namespace.report_expired_lease();
        }
    }

    /// Releases the lease; `attempt` is for those that wait for it.
    async fn release(mut self, attempt: LastAttempt) {
        if let Some(lease) = self.take_lease() {
            self.namespace.release(&self.location.key, lease, attempt).await;
        }
    }

    /// Returns a future that extends the lease every third of its term, for the first time when a third has passed since
    /// it was acquired. It ends when the lease was lost; the fill notices it too.
    pub(crate) fn keep_alive(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (namespace, key, lease) =
            (self.namespace, self.location.key.clone(), self.lease.as_ref().map(RegisteredLease::lease));
        let confirmed_at = Arc::clone(&self.confirmed_at);
        let (term, mut next) = (limits::LEASE_TERM.time(), self.begun_at + limits::LEASE_TERM.time() / 3);
        async move {
            let Some(lease) = lease else { return };
            loop {
                timer::sleep_until(next).await;
                next = tokio::time::Instant::now() + term / 3;
                match namespace.with_deadline(|store| store.extend(&key, &lease, term)).await {
                    Ok(true) => *lock(&confirmed_at) = Instant::now(),
                    Ok(false) => return,
                    Err(_) => {}
                }
            }
        }
    }
}

impl Drop for HeldLease {
    /// Gives the lease back in the background.
    fn drop(&mut self) {
        if let Some(lease) = self.take_lease() {
            self.namespace.give_back(self.location.key.clone(), lease, self.last_attempt, Grant::Known);
        }
    }
}

impl fmt::Debug for HeldLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldLease")
            .field("key", &self.location.key)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

fn lock(instant: &Mutex<Instant>) -> MutexGuard<'_, Instant> {
    instant.lock().unwrap_or_else(PoisonError::into_inner)
}
