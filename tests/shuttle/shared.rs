//! The replacement of the shared tier in these tests: a shared store with one key, a lease and a generation.
//!
//! Each store operation takes one lock, so other threads can run between any two operations.

#![allow(
    clippy::unnecessary_wraps,
    clippy::unused_async,
    clippy::unused_self,
    reason = "the interface of the real tier"
)]

use std::future::{Pending, Ready, pending, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use shuttle::future::yield_now;

use crate::Result;
use crate::memory::{Age, CachedValue, DerivedTags, Fill, Freshness, State, WriteAction};
use crate::util::sync::{Mutex, MutexGuard, PoisonError};

/// The shared tier of this process.
pub(crate) struct Tier<K, V> {
    store: Arc<Store>,
    waiting: Waiting,
    /// Whether `expire` keeps the value as a stale one.
    keeps_stale: bool,
    encode: fn(&V) -> u64,
    decode: fn(u64) -> V,
    key: PhantomData<fn(K)>,
}

/// What a request does while another call holds the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It is answered when the lease is free. Calls wait for other processes like this, but with timers.
    UntilFree,
    /// It is answered at once, and the call computes without a lease.
    No,
}

/// The store, which processes share.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<Entry>);

#[derive(Debug, Default)]
struct Entry {
    value: Option<Value>,
    lease: Option<u64>,
    /// How many leases were acquired.
    leases: u64,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    version: u64,
    /// The generation that it was stored with.
    generation: u64,
    is_stale: bool,
}

#[derive(Debug)]
pub(crate) struct SharedRead<V> {
    pub(crate) cached: Option<CachedValue<V>>,
    pub(crate) lease_request: Option<Box<LeaseRequest>>,
}

/// A read is made at once.
#[derive(Debug)]
pub(crate) struct TierRead<K, V>(Ready<SharedRead<V>>, PhantomData<fn(K)>);

impl<K, V> Future for TierRead<K, V> {
    type Output = SharedRead<V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SharedRead<V>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LeaseRequest {
    generation: Option<u64>,
    occupant: Occupant,
}

#[derive(Debug, Clone, Copy)]
enum Occupant {
    /// Nothing, or this value, which is to be replaced. Any other value is a new one.
    Unusable(Option<Value>),
    /// Any value: it is to be replaced unconditionally.
    Any,
}

#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    Acquired(HeldLease),
    Filled,
    Busy(LeaseRequest),
    Failed,
    NotStorable,
    Unavailable,
    #[allow(dead_code, reason = "the store of the model has no queue")]
    Overloaded,
}

#[derive(Debug)]
pub(crate) struct HeldLease {
    store: Arc<Store>,
    /// The generation of the value; read after the lease was acquired, if not before.
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

    pub(crate) fn read(&self, _: &K, _: &[String]) -> TierRead<K, V> {
        let (value, generation) = {
            let entry = self.store.lock();
            (entry.value, entry.generation)
        };
        let cached = self.usable(value, generation);
        let is_fresh = cached.as_ref().is_some_and(|cached| cached.state == State::Fresh);
        let lease_request =
            LeaseRequest { generation: Some(generation), occupant: Occupant::Unusable(value) };
        let read = SharedRead { cached, lease_request: (!is_fresh).then(|| Box::new(lease_request)) };
        TierRead(ready(read), PhantomData)
    }

    pub(crate) fn replace_request(&self, _: &K, _: &[String]) -> Option<LeaseRequest> {
        Some(LeaseRequest { generation: None, occupant: Occupant::Any })
    }

    /// The models have no leader that is silent.
    pub(crate) fn report_lost_lease(&self) {}

    pub(crate) async fn acquire(&self, mut lease_request: LeaseRequest) -> LeaseAnswer {
        loop {
            let acquired = self.store.acquire(&lease_request);
            // Other threads may run before the generation is read, and before a busy lease is requested again.
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
        let entry = self.store.lock();
        self.usable(entry.value, entry.generation)
    }

    pub(crate) fn encode(&self, value: &V, _: Duration, _: &DerivedTags) -> Result<Payload> {
        Ok(Payload((self.encode)(value)))
    }

    pub(crate) async fn put(&self, _: &K, _: &[String], payload: Payload) -> Result<()> {
        let generation = self.store.lock().generation;
        let mut entry = self.store.lock();
        entry.value = Some(Value { version: payload.0, generation, is_stale: false });
        entry.lease = None;
        Ok(())
    }

    pub(crate) async fn remove(&self, _: &K) -> Result<()> {
        self.store.remove();
        Ok(())
    }

    pub(crate) async fn expire(&self, _: &K, _: &[String]) -> Result<()> {
        let mut entry = self.store.lock();
        entry.lease = None;
        entry.value = entry.value.filter(|_| self.keeps_stale).map(|value| Value { is_stale: true, ..value });
        Ok(())
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        self.store.clear();
        Ok(())
    }

    pub(crate) fn entry_name(&self, _: &K) -> Result<String> {
        Ok(String::new())
    }

    /// Returns the value if it is current.
    fn usable(&self, value: Option<Value>, generation: u64) -> Option<CachedValue<V>> {
        let value = value.filter(|value| value.generation == generation)?;
        let freshness =
            if value.is_stale { Freshness::Stale(Duration::ZERO) } else { Freshness::Fresh(HOUR) };
        let age = Age { elapsed: Duration::ZERO, freshness, lifetime: HOUR, compute_time: Duration::ZERO };
        let state = if value.is_stale { State::Stale(Duration::ZERO) } else { State::Fresh };
        Some(CachedValue { value: (self.decode)(value.version), age, state })
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Store {
    /// Removes the value and ends the lease, as any process can.
    pub(crate) fn remove(&self) {
        let mut entry = self.lock();
        entry.value = None;
        entry.lease = None;
    }

    /// Makes the value stale, as any process can, and keeps the lease. The invalidation of a tag does the same.
    pub(crate) fn clear(&self) {
        self.lock().generation += 1;
    }

    /// Returns `true` if a lease is held.
    pub(crate) fn is_leased(&self) -> bool {
        self.lock().lease.is_some()
    }

    fn acquire(self: &Arc<Self>, lease_request: &LeaseRequest) -> LeaseAnswer {
        let mut entry = self.lock();
        // A lease that was acquired over a value leaves that value in place.
        if matches!(lease_request.occupant, Occupant::Unusable(seen) if entry.value.is_some() && entry.value != seen)
        {
            return LeaseAnswer::Filled;
        }
        if entry.lease.is_some() {
            // By the time the lease is free the generation is outdated.
            return LeaseAnswer::Busy(LeaseRequest { generation: None, ..*lease_request });
        }
        entry.leases += 1;
        entry.lease = Some(entry.leases);
        LeaseAnswer::Acquired(HeldLease {
            store: Arc::clone(self),
            generation: lease_request.generation,
            lease: entry.lease,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseRequest {
    pub(crate) fn with_fallback(self, _: bool) -> Self {
        self
    }
}

impl HeldLease {
    pub(crate) async fn finish(mut self, action: WriteAction<Payload>, has_waiters: bool) -> Fill {
        if matches!(action, WriteAction::Remove) {
            // A value that another process stores in between is removed too, and is computed once more.
            if self.store.lock().lease != self.lease.take() {
                return Fill::Rejected;
            }
            self.store.remove();
            return Fill::Stored;
        }
        let lease = self.lease.take();
        let store = Arc::clone(&self.store);
        let generation = self.generation.expect("it was read after the lease was acquired");
        {
            let mut entry = store.lock();
            if entry.lease != lease {
                return Fill::Rejected;
            }
            entry.lease = None;
            if let WriteAction::Store(payload) = action {
                entry.value = Some(Value { version: payload.0, generation, is_stale: false });
            }
        }
        // Neither a clear nor the invalidation of a tag ends leases.
        if has_waiters && store.lock().generation != generation { Fill::Rejected } else { Fill::Stored }
    }

    pub(crate) fn keep_alive(&self) -> Pending<()> {
        pending()
    }
}

impl Drop for HeldLease {
    /// Releases the lease.
    fn drop(&mut self) {
        if self.lease.is_some() {
            let mut entry = self.store.lock();
            if entry.lease == self.lease {
                entry.lease = None;
            }
        }
    }
}
