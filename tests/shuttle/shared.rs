//! The stand-in for the layer `shared`: a tier on a store with one key, one lease, and one generation.
//!
//! Each atomic operation of the store locks a mutex once, so another thread can run before and after it.

#![allow(
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    reason = "the real one can fail and be pending"
)]

use std::future::{Pending, pending};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use shuttle::future::yield_now;

use crate::Result;
use crate::memory::{Age, CachedValue, DerivedTags, Fill, Freshness, State, WriteAction};
use crate::util::sync::{Mutex, MutexGuard, PoisonError};

/// The shared tier of this process.
pub(crate) struct Tier<K, V> {
    store: Arc<Store>,
    waiting: Waiting,
    /// Whether a value that was expired is kept as a stale one.
    keeps_stale: bool,
    encode: fn(&V) -> u64,
    decode: fn(u64) -> V,
    key: PhantomData<fn(K)>,
}

/// What a request for a busy lease does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It is answered when the lease is free. This replaces the lease wait, which needs timers.
    UntilFree,
    /// It is answered at once, and the call computes without a lease.
    No,
}

/// The store, which other processes access too.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    value: Option<Value>,
    lease: Option<u64>,
    /// The number of leases that were acquired.
    leases: u64,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    version: u64,
    /// The generation in which it was stored.
    generation: u64,
    is_stale: bool,
}

#[derive(Debug)]
pub(crate) struct SharedRead<V> {
    pub(crate) cached: Option<CachedValue<V>>,
    pub(crate) lease_request: Option<LeaseRequest>,
}

#[derive(Debug, Clone)]
pub(crate) struct LeaseRequest {
    generation: Option<u64>,
    occupant: Occupant,
}

#[derive(Debug, Clone, Copy)]
enum Occupant {
    /// No value, or one that is not usable; any other value counts as filled.
    Unusable(Option<Value>),
    /// Any value; it is replaced.
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
    /// The generation that the value depends on; read when the lease is acquired, if not before.
    generation: Option<u64>,
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
        let (value, generation) = {
            let contents = self.store.lock();
            (contents.value, contents.generation)
        };
        let cached = self.usable(value, generation);
        let is_fresh = cached.as_ref().is_some_and(|cached| cached.state == State::Fresh);
        let lease_request =
            LeaseRequest { generation: Some(generation), occupant: Occupant::Unusable(value) };
        SharedRead { cached, lease_request: (!is_fresh).then_some(lease_request) }
    }

    pub(crate) fn replacing(&self, _: &K, _: &[String]) -> Option<LeaseRequest> {
        Some(LeaseRequest { generation: None, occupant: Occupant::Any })
    }

    pub(crate) async fn acquire(&self, mut lease_request: LeaseRequest) -> LeaseAnswer {
        loop {
            let acquired = self.store.acquire(&lease_request);
            // Another thread may run before the generation is read, and before a busy lease is requested again.
            yield_now().await;
            lease_request = match (acquired, self.waiting) {
                (LeaseAnswer::Acquired(mut held), _) => {
                    held.generation.get_or_insert_with(|| self.store.lock().generation);
                    return LeaseAnswer::Acquired(held);
                }
                (LeaseAnswer::Busy(LeaseRequest { occupant: Occupant::Any, .. }), _) => {
                    self.store.remove();
                    LeaseRequest { generation: None, occupant: Occupant::Any }
                }
                (LeaseAnswer::Busy(lease_request), Waiting::UntilFree) => lease_request,
                (acquired, _) => return acquired,
            };
        }
    }

    pub(crate) async fn watch(&self, _: &LeaseRequest) -> Option<Pending<()>> {
        None
    }

    pub(crate) async fn peek(&self, _: &K, _: &[String]) -> Option<CachedValue<V>> {
        let contents = self.store.lock();
        self.usable(contents.value, contents.generation)
    }

    pub(crate) fn encode(&self, value: &V, _: Duration, _: &DerivedTags) -> Result<Payload> {
        Ok(Payload((self.encode)(value)))
    }

    pub(crate) async fn put(&self, _: &K, _: &[String], payload: Payload) -> Result<()> {
        let generation = self.store.lock().generation;
        let mut contents = self.store.lock();
        contents.value = Some(Value { version: payload.0, generation, is_stale: false });
        contents.lease = None;
        Ok(())
    }

    pub(crate) async fn remove(&self, _: &K) -> Result<()> {
        self.store.remove();
        Ok(())
    }

    pub(crate) async fn expire(&self, _: &K, _: &[String]) -> Result<()> {
        let mut contents = self.store.lock();
        contents.lease = None;
        contents.value =
            contents.value.filter(|_| self.keeps_stale).map(|value| Value { is_stale: true, ..value });
        Ok(())
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        self.store.clear();
        Ok(())
    }

    pub(crate) fn name(&self, _: &K) -> String {
        String::new()
    }

    /// Returns the value, if it was not cleared.
    fn usable(&self, value: Option<Value>, generation: u64) -> Option<CachedValue<V>> {
        let value = value.filter(|value| value.generation == generation)?;
        let freshness =
            if value.is_stale { Freshness::Stale(Duration::ZERO) } else { Freshness::Fresh(HOUR) };
        let age = Age { since: Duration::ZERO, left: freshness, life: HOUR, cost: Duration::ZERO };
        let state = if value.is_stale { State::Stale(Duration::ZERO) } else { State::Fresh };
        Some(CachedValue { value: (self.decode)(value.version), age, state })
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Store {
    /// Removes the value and ends the lease, on behalf of any process.
    pub(crate) fn remove(&self) {
        let mut contents = self.lock();
        contents.value = None;
        contents.lease = None;
    }

    /// Makes the stored value unusable, on behalf of any process, and leaves the lease. The invalidation of a tag of the
    /// key does the same.
    pub(crate) fn clear(&self) {
        self.lock().generation += 1;
    }

    /// Returns `true` if a lease was acquired that was neither used nor released.
    pub(crate) fn is_leased(&self) -> bool {
        self.lock().lease.is_some()
    }

    fn acquire(self: &Arc<Self>, lease_request: &LeaseRequest) -> LeaseAnswer {
        let mut contents = self.lock();
        if contents.lease.is_some() {
            return match lease_request.occupant {
                // A lease that was acquired over a value does not remove it.
                Occupant::Unusable(seen) if contents.value.is_some() && contents.value != seen => {
                    LeaseAnswer::Filled
                }
                // The generation will be out of date when the lease is free.
                occupant => LeaseAnswer::Busy(LeaseRequest { generation: None, occupant }),
            };
        }
        if matches!(lease_request.occupant, Occupant::Unusable(None)) && contents.value.is_some() {
            return LeaseAnswer::Filled;
        }
        contents.leases += 1;
        contents.lease = Some(contents.leases);
        LeaseAnswer::Acquired(HeldLease {
            store: Arc::clone(self),
            generation: lease_request.generation,
            lease: contents.lease,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldLease {
    pub(crate) async fn finish(mut self, write: WriteAction<Payload>, has_followers: bool) -> Fill {
        if matches!(write, WriteAction::Remove) {
            // This also removes a value that another process stores in between; it is then computed once more.
            if self.store.lock().lease != self.lease.take() {
                return Fill::Rejected;
            }
            self.store.remove();
            return Fill::Stored;
        }
        let lease = self.lease.take();
        let store = Arc::clone(&self.store);
        let generation = self.generation.expect("it is read when the lease is acquired");
        {
            let mut contents = store.lock();
            if contents.lease != lease {
                return Fill::Rejected;
            }
            contents.lease = None;
            if let WriteAction::Store(payload) = write {
                contents.value = Some(Value { version: payload.0, generation, is_stale: false });
            }
        }
        // Neither a clear nor the invalidation of a tag ends leases.
        if has_followers && store.lock().generation != generation { Fill::Rejected } else { Fill::Stored }
    }

    pub(crate) fn keep_alive(&self) -> Pending<()> {
        pending()
    }
}

impl Drop for HeldLease {
    /// Releases the lease.
    fn drop(&mut self) {
        if self.lease.is_some() {
            let mut contents = self.store.lock();
            if contents.lease == self.lease {
                contents.lease = None;
            }
        }
    }
}
