//! A lease that this process has, and what is done with it.

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use super::lease::LEASE;
use super::location::{Location, Tags};
use super::namespace::{Namespace, in_a_task};
use super::payload::Payload;
use crate::memory::{Fill, WriteAction};
use crate::{ErrorKind, Key, Lease, LeaseMode, Result};

/// A lease with what is needed to use it.
pub(crate) struct HeldLease {
    pub(super) remote: &'static Namespace,
    pub(super) place: Location,
    /// What it was given over.
    pub(super) over: LeaseMode,
    pub(super) stamps: Box<[u64]>,
    /// The mark of the last invalidation of any tag, if the value will tell its tags.
    pub(super) mark: Option<u64>,
    pub(super) since: Instant,
    pub(super) lease: Option<Lease>,
}

/// Between the attempts to give a lease back, in milliseconds; after the last it has ended by itself.
const PAUSES: [u64; 8] = [50, 100, 200, 400, 800, 1_600, 3_200, 3_200];

impl HeldLease {
    /// Reads what the value will depend on: before the computation, so that a value computed from before an invalidation
    /// is stale from the start.
    pub(super) async fn read_stamps(&mut self, seen: Option<Box<[Option<u64>]>>) -> Result<()> {
        self.stamps = self.remote.stamps(&self.place, seen).await?;
        if let Tags::FromValue(tags) = self.place.tags {
            self.mark = Some(tags.mark().await?);
        }
        Ok(())
    }

    /// Leaves in the store what was computed, if the lease is still ours; also if the caller goes
    /// away meanwhile. Whether others may have it as well is found out only if somebody is `waiting`.
    pub(crate) async fn finish(self, leaves: WriteAction<Payload>, waiting: bool) -> Fill {
        let settled = async move {
            let (remote, place, stamps) = (self.remote, self.place.clone(), self.stamps.clone());
            let settled = match leaves {
                WriteAction::Store(payload) => self.fill(payload, waiting).await,
                WriteAction::Remove => self.leave_nothing(waiting).await,
                WriteAction::Keep => self.give_back(waiting).await,
            };
            // Neither a clear nor the end of a tag ends leases.
            if settled == Fill::Stored && waiting && !remote.are_current(&place, &stamps).await {
                return Fill::Rejected;
            }
            settled
        };
        in_a_task(settled).await.unwrap_or(Fill::Unknown)
    }

    /// Gives the lease back; whether it was still ours is asked only if somebody is `waiting`.
    async fn give_back(self, waiting: bool) -> Fill {
        let kept = match &self.lease {
            Some(lease) if waiting => self.is_kept(lease).await,
            _ => Ok(true),
        };
        self.release().await;
        match kept {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Rejected,
            Err(_) => Fill::Unknown,
        }
    }

    /// Whether the lease is still ours, and no tag was invalidated that the value might have had.
    async fn is_kept(&self, lease: &Lease) -> Result<bool> {
        let is_ours = self.remote.bounded(|store| store.extend(&self.place.key, lease, LEASE)).await?;
        match (self.place.tags, self.mark) {
            (Tags::FromValue(tags), Some(mark)) if is_ours => Ok(tags.mark().await? == mark),
            _ => Ok(is_ours),
        }
    }

    /// Removes what is there, and the lease with it. Should that be another's by now, it is computed once more.
    async fn vacate(mut self) -> Fill {
        let Some(lease) = &self.lease else { return Fill::Unknown };
        match self.is_kept(lease).await {
            Ok(true) => {}
            Ok(false) => {
                self.release().await;
                return Fill::Rejected;
            }
            Err(_) => return Fill::Unknown,
        }
        match self.remote.bounded(|store| store.remove(&self.place.key)).await {
            Ok(()) => {
                self.lease = None;
                Fill::Stored
            }
            Err(_) => Fill::Unknown,
        }
    }

    async fn leave_nothing(self, waiting: bool) -> Fill {
        match self.over {
            LeaseMode::Replace => self.vacate().await,
            LeaseMode::IfAbsent => self.give_back(waiting).await,
        }
    }

    async fn fill(mut self, payload: Payload, waiting: bool) -> Fill {
        let named = match self.name_tags(&payload).await {
            Ok(Some(named)) => named,
            Ok(None) => {
                self.release().await;
                return Fill::Rejected;
            }
            Err(_) => {
                self.release().await;
                return Fill::Unknown;
            }
        };
        let sealed = payload.seal(&self.place.key, &self.stamps, &named, self.since.elapsed());
        let Ok(bytes) = sealed.inspect_err(|error| self.remote.unfit(error)) else {
            return self.leave_nothing(waiting).await;
        };
        let Some(lease) = self.lease.take() else { return Fill::Unknown };
        let filled = self.remote.bounded(|store| store.fill(&self.place.key, lease, bytes, payload.term()));
        match filled.await {
            Ok(true) => Fill::Stored,
            Ok(false) => Fill::Rejected,
            // The store keeps nothing so large; nor must it keep what that was to replace.
            Err(error) if error.kind() == ErrorKind::TooLarge && self.over == LeaseMode::Replace => {
                let _ = self.remote.bounded(|store| store.remove(&self.place.key)).await; // Counted there.
                Fill::Rejected
            }
            Err(_) => {
                self.release_later(lease);
                Fill::Unknown
            }
        }
    }

    /// The stamps of the tags that only the value could tell; nothing if any tag was invalidated since the computation
    /// began, because it might be one of these.
    async fn name_tags(&self, payload: &Payload) -> Result<Option<Vec<(Key, u64)>>> {
        let (Tags::FromValue(tags), Some(mark)) = (self.place.tags, self.mark) else {
            return Ok(Some(Vec::new()));
        };
        let named = tags.name(&payload.tags).await?;
        Ok((tags.mark().await? == mark).then_some(named))
    }

    /// Gives the lease back.
    pub(crate) async fn release(mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.remote.bounded(|store| store.release(&self.place.key, lease)).await.is_err() {
            self.release_later(lease);
        }
    }

    /// Gives a lease back by a task, when the store works again: until then it would hold up whoever comes next.
    ///
    /// If the store has done what it was asked for and only its answer was lost, this does nothing.
    fn release_later(&self, lease: Lease) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (remote, key) = (self.remote, self.place.key.clone());
        runtime.spawn(async move {
            for pause in PAUSES {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                if remote.bounded(|store| store.release(&key, lease)).await.is_ok() {
                    return;
                }
            }
        });
    }

    /// What keeps the lease while it is being used; never ends.
    pub(crate) fn keep_alive(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (remote, key, lease) = (self.remote, self.place.key.clone(), self.lease);
        async move {
            loop {
                tokio::time::sleep(LEASE / 3).await;
                if let Some(lease) = &lease {
                    // A lease that was lost is noticed when it is used.
                    let _ = remote.bounded(|store| store.extend(&key, lease, LEASE)).await;
                }
            }
        }
    }
}

impl Drop for HeldLease {
    /// The store is told by a task; without a runtime, or if it ends first, the lease ends by itself.
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (remote, key) = (self.remote, self.place.key.clone());
        // Without a `HeldLease` in it: a runtime that is shutting down drops the task right here.
        runtime.spawn(async move {
            let _ = remote.bounded(|store| store.release(&key, lease)).await; // Counted there.
        });
    }
}

impl fmt::Debug for HeldLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldLease")
            .field("key", &self.place.key)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
