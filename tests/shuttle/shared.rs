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
use crate::memory::{Age, Fill, Kept as Entry, Leaves, Left, State, Told};
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
    /// Who asks for a vacant key is answered when nobody else has the lease: that is how calls wait for another process,
    /// but with timers.
    UntilFree,
    /// The call is told at once, and computes without a lease.
    No,
}

/// The store itself, which other processes have too.
#[derive(Debug, Default)]
pub(crate) struct Store(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
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
pub(crate) struct Look<V> {
    pub(crate) kept: Option<Entry<V>>,
    pub(crate) vacant: Option<Vacant>,
}

#[derive(Debug, Clone)]
pub(crate) struct Vacant {
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
pub(crate) enum Acquiring {
    Held(Held),
    Filled,
    Busy(Vacant),
    TakenOver,
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Held {
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

    pub(crate) async fn look(&self, _: &K, _: &[String]) -> Look<V> {
        let (value, stamp) = {
            let kept = self.store.lock();
            (kept.value, kept.stamp)
        };
        let kept = self.usable(value, stamp);
        let is_fresh = kept.as_ref().is_some_and(|kept| kept.state == State::Fresh);
        let vacant = Vacant { stamp: Some(stamp), occupant: Occupant::Useless(value) };
        Look { kept, vacant: (!is_fresh).then_some(vacant) }
    }

    pub(crate) fn occupied(&self, _: &K, _: &[String]) -> Option<Vacant> {
        Some(Vacant { stamp: None, occupant: Occupant::Any })
    }

    pub(crate) async fn acquire(&self, mut vacant: Vacant) -> Acquiring {
        loop {
            let acquired = self.store.acquire(&vacant);
            // Anything may come before a held lease is followed by its stamp, or a busy one is asked for again.
            yield_now().await;
            vacant = match (acquired, self.waiting) {
                (Acquiring::Held(mut held), _) => {
                    held.stamp.get_or_insert_with(|| self.store.lock().stamp);
                    return Acquiring::Held(held);
                }
                (Acquiring::Busy(Vacant { occupant: Occupant::Any, .. }), _) => {
                    self.store.remove();
                    Vacant { stamp: None, occupant: Occupant::Any }
                }
                (Acquiring::Busy(vacant), Waiting::UntilFree) => vacant,
                (acquired, _) => return acquired,
            };
        }
    }

    pub(crate) async fn watch(&self, _: &Vacant) -> Option<Pending<()>> {
        None
    }

    pub(crate) async fn peek(&self, _: &K, _: &[String]) -> Option<Entry<V>> {
        let kept = self.store.lock();
        self.usable(kept.value, kept.stamp)
    }

    pub(crate) fn encode(&self, value: &V, _: Duration, _: &Told) -> Result<Payload> {
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
        let left = if value.is_stale { Left::Stale(Duration::ZERO) } else { Left::Fresh(HOUR) };
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

    fn acquire(self: &Arc<Self>, vacant: &Vacant) -> Acquiring {
        let mut kept = self.lock();
        if kept.lease.is_some() {
            return match vacant.occupant {
                // A lease that was given over a value leaves that where it is.
                Occupant::Useless(seen) if kept.value.is_some() && kept.value != seen => Acquiring::Filled,
                // By the time the lease is free the stamp will be out of date.
                occupant => Acquiring::Busy(Vacant { stamp: None, occupant }),
            };
        }
        if matches!(vacant.occupant, Occupant::Useless(None)) && kept.value.is_some() {
            return Acquiring::Filled;
        }
        kept.leases += 1;
        kept.lease = Some(kept.leases);
        Acquiring::Held(Held { store: Arc::clone(self), stamp: vacant.stamp, lease: kept.lease })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub(crate) async fn settle(mut self, leaves: Leaves<Payload>, waiting: bool) -> Fill {
        if matches!(leaves, Leaves::Nothing) {
            // What another process does in between goes too; then it is computed once more.
            if self.store.lock().lease != self.lease.take() {
                return Fill::Refused;
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
                return Fill::Refused;
            }
            kept.lease = None;
            if let Leaves::Value(payload) = leaves {
                kept.value = Some(Value { version: payload.0, stamp, is_stale: false });
            }
        }
        // Neither a clear nor the end of a tag ends leases.
        if waiting && store.lock().stamp != stamp { Fill::Refused } else { Fill::Stored }
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
