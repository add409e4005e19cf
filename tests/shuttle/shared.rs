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
use crate::memory::{Age, CachedValue as Entry, DerivedTags, Fill, Freshness, State, WriteAction};
use crate::util::sync::{Mutex, MutexGuard, PoisonError};

/// What this process has of the store.
pub(crate) struct Tier<K, V> {
    store: Arc<Store>,
    waiting: Waiting,
    /// Whether a value that expired is kept as a stale one.
    keeps_stale: bool,
    encode: fn(&V) -> u64,
    decode: fn(u64) -> V,
    key: PhantomData<fn(K)>,
}

/// What is done about a lease that another call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Who asks for the lease of a vacant key is answered when nobody else has the lease: that is how calls wait for another process,
    /// but with timers.
    UntilFree,
    /// The call is told at once, and computes without a lease.
    No,
}

/// The store itself, which other processes have too.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<CachedValue>);

#[derive(Debug, Default)]
struct CachedValue {
    value: Option<Value>,
    lease: Option<u64>,
    /// How many leases there have been.
    leases: u64,
    stamp: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    version: u64,
    /// The stamp it was stored with.
    stamp: u64,
    is_stale: bool,
}

#[derive(Debug)]
pub(crate) struct SharedRead<V> {
    pub(crate) cached: Option<Entry<V>>,
    pub(crate) lease_request: Option<LeaseRequest>,
}

#[derive(Debug, Clone)]
pub(crate) struct LeaseRequest {
    stamp: Option<u64>,
    occupant: Occupant,
}

#[derive(Debug, Clone, Copy)]
enum Occupant {
    /// Nothing, or what is of no use; anything else is news.
    Useless(Option<Value>),
    /// Whatever it is, it is to be replaced.
    Any,
}

#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    Acquired(HeldLease),
    Filled,
    Busy(LeaseRequest),
    TakenOver,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct HeldLease {
    store: Arc<Store>,
    /// That of the value; read with the lease, if not before.
    stamp: Option<u64>,
    lease: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Payload(u64);

impl<K, V> Tier<K, V> {
    pub(crate) fn new(
        store: Arc<Store>,
        waiting: Waiting,
        keeps_stale: bool,
        encode: fn(&V) -> u64,
        decode: fn(u64) -> V,
    ) -> Self {
        Self { store, waiting, keeps_stale, encode, decode, key: PhantomData }
    }

    pub(crate) async fn read(&self, _: &K, _: &[String]) -> SharedRead<V> {
        let (value, stamp) = {
            let kept = self.store.lock();
            (kept.value, kept.stamp)
        };
        let kept = self.usable(value, stamp);
        let is_fresh = kept.as_ref().is_some_and(|kept| kept.state == State::Fresh);
        let lease_request = LeaseRequest { stamp: Some(stamp), occupant: Occupant::Useless(value) };
        SharedRead { cached: kept, lease_request: (!is_fresh).then_some(lease_request) }
    }

    pub(crate) fn replacing(&self, _: &K, _: &[String]) -> Option<LeaseRequest> {
        Some(LeaseRequest { stamp: None, occupant: Occupant::Any })
    }

    pub(crate) async fn acquire(&self, mut lease_request: LeaseRequest) -> LeaseAnswer {
        loop {
            let acquired = self.store.acquire(&lease_request);
            // Anything may come before a held lease is followed by its stamp, or a busy one is asked for again.
            yield_now().await;
            lease_request = match (acquired, self.waiting) {
                (LeaseAnswer::Acquired(mut held), _) => {
                    held.stamp.get_or_insert_with(|| self.store.lock().stamp);
                    return LeaseAnswer::Acquired(held);
                }
                (LeaseAnswer::Busy(LeaseRequest { occupant: Occupant::Any, .. }), _) => {
                    self.store.remove();
                    LeaseRequest { stamp: None, occupant: Occupant::Any }
                }
                (LeaseAnswer::Busy(lease_request), Waiting::UntilFree) => lease_request,
                (acquired, _) => return acquired,
            };
        }
    }

    pub(crate) async fn watch(&self, _: &LeaseRequest) -> Option<Pending<()>> {
        None
    }

    pub(crate) async fn peek(&self, _: &K, _: &[String]) -> Option<Entry<V>> {
        let kept = self.store.lock();
        self.usable(kept.value, kept.stamp)
    }

    pub(crate) fn encode(&self, value: &V, _: Duration, _: &DerivedTags) -> Result<Payload> {
        Ok(Payload((self.encode)(value)))
    }

    pub(crate) async fn put(&self, _: &K, _: &[String], payload: Payload) -> Result<()> {
        let stamp = self.store.lock().stamp;
        let mut kept = self.store.lock();
        kept.value = Some(Value { version: payload.0, stamp, is_stale: false });
        kept.lease = None;
        Ok(())
    }

    pub(crate) async fn remove(&self, _: &K) -> Result<()> {
        self.store.remove();
        Ok(())
    }

    pub(crate) async fn expire(&self, _: &K, _: &[String]) -> Result<()> {
        let mut kept = self.store.lock();
        kept.lease = None;
        kept.value = kept.value.filter(|_| self.keeps_stale).map(|value| Value { is_stale: true, ..value });
        Ok(())
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        self.store.clear();
        Ok(())
    }

    pub(crate) fn name(&self, _: &K) -> String {
        String::new()
    }

    /// The value, if it was not cleared.
    fn usable(&self, value: Option<Value>, stamp: u64) -> Option<Entry<V>> {
        let value = value.filter(|value| value.stamp == stamp)?;
        let left = if value.is_stale { Freshness::Stale(Duration::ZERO) } else { Freshness::Fresh(HOUR) };
        let age = Age { since: Duration::ZERO, left, life: HOUR, cost: Duration::ZERO };
        let state = if value.is_stale { State::Stale(Duration::ZERO) } else { State::Fresh };
        Some(Entry { value: (self.decode)(value.version), age, state })
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Store {
    /// Removes the value and ends the lease, as any process may.
    pub(crate) fn remove(&self) {
        let mut kept = self.lock();
        kept.value = None;
        kept.lease = None;
    }

    /// Makes what was stored until now useless, as any process may; leases go on. The end of a tag of the key does the same.
    pub(crate) fn clear(&self) {
        self.lock().stamp += 1;
    }

    /// Whether a lease was given that was neither used nor given back.
    pub(crate) fn is_leased(&self) -> bool {
        self.lock().lease.is_some()
    }

    fn acquire(self: &Arc<Self>, lease_request: &LeaseRequest) -> LeaseAnswer {
        let mut kept = self.lock();
        if kept.lease.is_some() {
            return match lease_request.occupant {
                // A lease that was given over a value leaves that where it is.
                Occupant::Useless(seen) if kept.value.is_some() && kept.value != seen => LeaseAnswer::Filled,
                // By the time the lease is free the stamp will be out of date.
                occupant => LeaseAnswer::Busy(LeaseRequest { stamp: None, occupant }),
            };
        }
        if matches!(lease_request.occupant, Occupant::Useless(None)) && kept.value.is_some() {
            return LeaseAnswer::Filled;
        }
        kept.leases += 1;
        kept.lease = Some(kept.leases);
        LeaseAnswer::Acquired(HeldLease {
            store: Arc::clone(self),
            stamp: lease_request.stamp,
            lease: kept.lease,
        })
    }

    fn lock(&self) -> MutexGuard<'_, CachedValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldLease {
    pub(crate) async fn finish(mut self, leaves: WriteAction<Payload>, waiting: bool) -> Fill {
        if matches!(leaves, WriteAction::Remove) {
            // What another process does in between goes too; then it is computed once more.
            if self.store.lock().lease != self.lease.take() {
                return Fill::Rejected;
            }
            self.store.remove();
            return Fill::Stored;
        }
        let lease = self.lease.take();
        let store = Arc::clone(&self.store);
        let stamp = self.stamp.expect("it was read with the lease");
        {
            let mut kept = store.lock();
            if kept.lease != lease {
                return Fill::Rejected;
            }
            kept.lease = None;
            if let WriteAction::Store(payload) = leaves {
                kept.value = Some(Value { version: payload.0, stamp, is_stale: false });
            }
        }
        // Neither a clear nor the end of a tag ends leases.
        if waiting && store.lock().stamp != stamp { Fill::Rejected } else { Fill::Stored }
    }

    pub(crate) fn keep_alive(&self) -> Pending<()> {
        pending()
    }
}

impl Drop for HeldLease {
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
