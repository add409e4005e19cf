//! A held lease, and the ways to end it.

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use super::lease::LEASE_TERM;
use super::location::{Location, Tags};
use super::namespace::{Namespace, run_detached};
use super::payload::Payload;
use crate::memory::{Fill, WriteAction};
use crate::{ErrorKind, Key, Lease, LeaseMode, Result};

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
    /// `None` once it has ended.
    lease: Option<Lease>,
}

/// The pauses before the attempts to release a lease that the store did not confirm, in milliseconds. Their sum is close
/// to [`LEASE_TERM`], after which the lease has expired.
const RELEASE_PAUSES: [u64; 8] = [50, 100, 200, 400, 800, 1_600, 3_200, 3_200];

impl HeldLease {
    pub(super) fn new(
        namespace: &'static Namespace,
        location: Location,
        mode: LeaseMode,
        lease: Lease,
    ) -> Self {
        Self {
            namespace,
            location,
            mode,
            generations: Box::default(),
            epoch: None,
            acquired_at: Instant::now(),
            lease: Some(lease),
        }
    }

    /// Reads what the value will depend on.
    ///
    /// This happens before the computation, so that a value computed from data that was invalidated meanwhile is stale
    /// from the start.
    pub(super) async fn read_generations(&mut self, known: Option<Box<[Option<u64>]>>) -> Result<()> {
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
        let finished = async move {
            let (namespace, location, generations) =
                (self.namespace, self.location.clone(), self.generations.clone());
            let fill = match action {
                WriteAction::Store(payload) => self.fill(payload, has_waiters).await,
                WriteAction::Remove => self.remove_replaced(has_waiters).await,
                WriteAction::Keep => self.keep(has_waiters).await,
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
    async fn keep(self, has_waiters: bool) -> Fill {
        let is_held = match &self.lease {
            Some(lease) if has_waiters => self.is_held(lease).await,
            _ => Ok(true),
        };
        self.release().await;
        match is_held {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Rejected,
            Err(_) => Fill::Unknown,
        }
    }

    /// Returns `true` if the lease is still held, and no tag was invalidated that the value might have had.
    async fn is_held(&self, lease: &Lease) -> Result<bool> {
        let is_extended =
            self.namespace.with_deadline(|store| store.extend(&self.location.key, lease, LEASE_TERM)).await?;
        match (self.location.tags, self.epoch) {
            (Tags::Derived(tags), Some(epoch)) if is_extended => Ok(tags.epoch().await? == epoch),
            _ => Ok(is_extended),
        }
    }

    /// Removes the value that the lease was acquired to replace; if there was none, releases the lease only.
    async fn remove_replaced(self, has_waiters: bool) -> Fill {
        match self.mode {
            LeaseMode::Replace => self.remove().await,
            LeaseMode::IfAbsent => self.keep(has_waiters).await,
        }
    }

    /// Removes the value together with the lease.
    ///
    /// If another process has filled the key after the check, its value is removed too and is computed once more.
    async fn remove(mut self) -> Fill {
        let Some(lease) = &self.lease else { return Fill::Unknown };
        match self.is_held(lease).await {
            Ok(true) => {}
            Ok(false) => {
                self.release().await;
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
                self.release().await;
                return Fill::Rejected;
            }
            Err(_) => {
                self.release().await;
                return Fill::Unknown;
            }
        };
        let compute_time = self.acquired_at.elapsed();
        let sealed = payload.seal(&self.location.key, &self.generations, &derived_generations, compute_time);
        let Ok(bytes) = sealed.inspect_err(|error| self.namespace.report_uncacheable(error)) else {
            return self.remove_replaced(has_waiters).await;
        };
        let Some(lease) = self.lease.take() else { return Fill::Unknown };
        let filled = self
            .namespace
            .with_deadline(|store| store.fill(&self.location.key, lease, bytes, payload.store_ttl()));
        match filled.await {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Rejected,
            // The value is too large for the store. The outdated one must not stay in its place.
            Err(error) if error.kind() == ErrorKind::TooLarge && self.mode == LeaseMode::Replace => {
                // `with_deadline` reports a failure.
                let _ = self.namespace.with_deadline(|store| store.remove(&self.location.key)).await;
                Fill::Rejected
            }
            Err(_) => {
                self.release_later(lease);
                Fill::Unknown
            }
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

    /// Releases the lease.
    async fn release(mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.namespace.with_deadline(|store| store.release(&self.location.key, lease)).await.is_err() {
            self.release_later(lease);
        }
    }

    /// Spawns a task that releases a lease once the store works again, since no other process can fill the key until then.
    ///
    /// If the store did what it was asked for and only its answer was lost, this has no effect.
    fn release_later(&self, lease: Lease) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (namespace, key) = (self.namespace, self.location.key.clone());
        runtime.spawn(async move {
            for pause in RELEASE_PAUSES {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                if namespace.with_deadline(|store| store.release(&key, lease)).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// Returns a future that extends the lease every third of its term. It never completes.
    pub(crate) fn keep_alive(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (namespace, key, lease) = (self.namespace, self.location.key.clone(), self.lease);
        async move {
            loop {
                tokio::time::sleep(LEASE_TERM / 3).await;
                if let Some(lease) = &lease {
                    // A lost lease is noticed by the fill.
                    let _ = namespace.with_deadline(|store| store.extend(&key, lease, LEASE_TERM)).await;
                }
            }
        }
    }
}

impl Drop for HeldLease {
    /// Spawns a task that releases the lease. Without a runtime, or if it shuts down first, the lease expires.
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (namespace, key) = (self.namespace, self.location.key.clone());
        // The task must not own a `HeldLease`: a runtime that is shutting down drops it right here.
        runtime.spawn(async move {
            // `with_deadline` reports a failure.
            let _ = namespace.with_deadline(|store| store.release(&key, lease)).await;
        });
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
