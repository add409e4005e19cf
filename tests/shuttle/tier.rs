//! What stands for `tier`: a shared store with one key, with a lease and a stamp as the real ones have them.
//!
//! What the store does at once is one lock, so anything can come between asking and being answered.

#![allow(
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    reason = "the real one can fail, and has to wait"
)]

use std::future::{Pending, pending};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use shuttle::future::yield_now;

use crate::Result;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// What this process has of the store.
pub(crate) struct Tier<K, V> {
    store: Arc<Store>,
    encode: fn(&V) -> u64,
    decode: fn(u64) -> V,
    key: PhantomData<fn(K)>,
}

/// The store itself, which other processes have too.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The value, and the stamp it was stored with.
    value: Option<(u64, u64)>,
    lease: Option<u64>,
    /// How many leases there have been.
    leases: u64,
    stamp: u64,
}

#[derive(Debug)]
pub(crate) enum Seen<V> {
    Value(V),
    Vacant(Vacant),
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Vacant {
    stamp: u64,
    /// Whether there may be a value, which is to be replaced.
    is_occupied: bool,
}

#[derive(Debug)]
pub(crate) enum Acquiring {
    Held(Held),
    Filled,
    Busy(Vacant),
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Stored,
    Refused,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Held {
    store: Arc<Store>,
    stamp: u64,
    lease: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Payload(u64);

impl<K, V> Tier<K, V> {
    pub(crate) fn new(store: Arc<Store>, encode: fn(&V) -> u64, decode: fn(u64) -> V) -> Self {
        Self { store, encode, decode, key: PhantomData }
    }

    pub(crate) async fn look(&self, _: &K) -> Seen<V> {
        let kept = self.store.lock();
        match kept.current() {
            Some(value) => Seen::Value((self.decode)(value)),
            None => Seen::Vacant(Vacant { stamp: kept.stamp, is_occupied: false }),
        }
    }

    pub(crate) fn occupied(&self, _: &K) -> Option<Vacant> {
        Some(Vacant { stamp: self.store.lock().stamp, is_occupied: true })
    }

    /// Who asks for a vacant key is answered when nobody else has the lease: that is how calls wait for another process,
    /// but with timers.
    pub(crate) async fn acquire(&self, vacant: Vacant) -> Acquiring {
        if vacant.is_occupied {
            if self.store.lock().lease.is_some() {
                self.store.remove();
            }
            return self.store.acquire(vacant);
        }
        let mut vacant = vacant;
        loop {
            vacant = match self.store.acquire(vacant) {
                Acquiring::Busy(vacant) => vacant,
                acquired => return acquired,
            };
            yield_now().await;
        }
    }

    pub(crate) async fn peek(&self, _: &K) -> Option<V> {
        self.store.lock().current().map(self.decode)
    }

    pub(crate) fn encode(&self, value: &V, _: Duration) -> Result<Payload> {
        Ok(Payload((self.encode)(value)))
    }

    pub(crate) async fn put(&self, _: &K, payload: Payload) -> Result<()> {
        let mut kept = self.store.lock();
        kept.value = Some((payload.0, kept.stamp));
        kept.lease = None;
        Ok(())
    }

    pub(crate) async fn remove(&self, _: &K) -> Result<()> {
        self.store.remove();
        Ok(())
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        self.store.clear();
        Ok(())
    }
}

impl Store {
    /// Removes the value and ends the lease, as any process may.
    pub(crate) fn remove(&self) {
        let mut kept = self.lock();
        kept.value = None;
        kept.lease = None;
    }

    /// Makes what was stored until now useless, as any process may; leases go on.
    pub(crate) fn clear(&self) {
        self.lock().stamp += 1;
    }

    /// Whether a lease was given that was neither used nor given back.
    pub(crate) fn is_leased(&self) -> bool {
        self.lock().lease.is_some()
    }

    fn acquire(self: &Arc<Self>, vacant: Vacant) -> Acquiring {
        let mut kept = self.lock();
        if !vacant.is_occupied && kept.current().is_some() {
            return Acquiring::Filled;
        }
        if kept.lease.is_some() {
            return Acquiring::Busy(vacant);
        }
        kept.leases += 1;
        kept.lease = Some(kept.leases);
        Acquiring::Held(Held { store: Arc::clone(self), stamp: vacant.stamp, lease: kept.lease })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn current(&self) -> Option<u64> {
        self.value.filter(|(_, stamp)| *stamp == self.stamp).map(|(value, _)| value)
    }
}

impl Held {
    pub(crate) async fn settle(mut self, payload: Option<Payload>, waiting: bool) -> Fill {
        let lease = self.lease.take();
        let store = Arc::clone(&self.store);
        {
            let mut kept = store.lock();
            if kept.lease != lease {
                return Fill::Refused;
            }
            kept.lease = None;
            if let Some(payload) = payload {
                kept.value = Some((payload.0, self.stamp));
            }
        }
        // A clear does not end leases.
        if waiting && store.lock().stamp != self.stamp { Fill::Refused } else { Fill::Stored }
    }

    pub(crate) fn keeper(&self) -> Pending<()> {
        pending()
    }
}

impl Drop for Held {
    /// Gives the lease back.
    fn drop(&mut self) {
        if self.lease.is_some() {
            let mut kept = self.store.lock();
            if kept.lease == self.lease {
                kept.lease = None;
            }
        }
    }
}
