//! What all calls of one instance of a function share.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::Entry;
use crate::flight::Flights;
use crate::memory::{Evicted, Memory, Weigh};
use crate::outcome::Outcome;
use crate::parts::{KeyType, Parts, Probe};
use crate::policy::Policy;
use crate::stats::Counters;
use crate::tier::{Held, Tier};
use crate::{BoxFuture, Result};

/// The tiers of one instance, and the flights before them.
pub(crate) struct Cache<K: KeyType, O: Outcome> {
    pub(crate) policy: &'static Policy,
    pub(crate) counters: &'static Counters,
    pub(crate) rules: Rules<K, O>,
    pub(crate) flights: Flights<K, O::Shared, Held>,
    pub(crate) tiers: Tiers<K, O::Value>,
}

/// Where values live.
pub(crate) enum Tiers<K, V> {
    Memory(Memory<K, V>),
    Shared(Box<Tier<K, V>>),
}

/// The options whose types only the function knows.
pub(crate) struct Rules<K, O: Outcome> {
    pub(crate) cache_if: Option<fn(&O::Success) -> bool>,
    pub(crate) ttl_from: Option<fn(&O::Success) -> Duration>,
    pub(crate) absent: Option<fn(&O::Output) -> bool>,
    pub(crate) weigh: Option<fn(&K, &O::Success) -> u64>,
    pub(crate) tier: Option<NewTier<K, O::Value>>,
}

/// How the shared tier of an instance is made, when it has one.
pub(crate) type NewTier<K, V> = fn(&'static Policy, &str, &'static Counters) -> Tier<K, V>;

impl<K: KeyType, O: Outcome> Cache<K, O> {
    pub(crate) fn new(
        policy: &'static Policy,
        name: &str,
        counters: &'static Counters,
        rules: Rules<K, O>,
    ) -> Self {
        let tiers = match rules.tier {
            Some(tier) => Tiers::Shared(Box::new(tier(policy, name, counters))),
            None => Tiers::Memory(Memory::new(policy.bound, rules.weigher(), counters)),
        };
        Self { policy, counters, rules, flights: Flights::new(), tiers }
    }

    /// The value in memory under a key that is still borrowed.
    #[inline]
    pub(crate) fn hit(&self, parts: &impl Parts<Owned = K>) -> Option<O::Output> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        let value = memory.get(&Probe(parts))?;
        self.counters.hits.add_one();
        Some(O::from_value(value))
    }

    /// The same under a key that is owned already.
    pub(crate) fn settled(&self, key: &K) -> Option<O::Output> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        memory.get(key).map(O::from_value)
    }

    /// How long an output is to be remembered, if at all.
    pub(crate) fn lifetime(&self, output: &O::Output) -> Option<Duration> {
        let Some(success) = O::success(output) else {
            return if O::is_err(output) { self.policy.ttl_of_errors } else { self.policy.ttl_of_none };
        };
        if self.rules.absent.is_some_and(|absent| absent(output)) {
            return self.policy.ttl_of_none;
        }
        if !self.rules.cache_if.is_none_or(|cache_if| cache_if(success)) {
            return None;
        }
        self.rules.ttl_from.map(|ttl_from| ttl_from(success)).or(self.policy.ttl)
    }

    /// Stores an output in memory, if that is where values live; returns what gave way to it.
    pub(crate) fn remember(
        &'static self,
        key: K,
        output: &O::Output,
        ttl: Option<Duration>,
    ) -> Option<Evicted<K, O::Value>> {
        let (Tiers::Memory(memory), Some(ttl)) = (&self.tiers, ttl) else { return None };
        let value = O::as_value(output)?.clone();
        Some(memory.insert(key, Entry::new(value, ttl)))
    }

    pub(crate) async fn invalidate(&'static self, key: K) -> Result<()> {
        match &self.tiers {
            Tiers::Memory(memory) => {
                let removed = self.flights.void(&key, || memory.remove(&key));
                drop(removed);
                Ok(())
            }
            Tiers::Shared(tier) => {
                self.flights.void(&key, || ());
                let removed = tier.remove(&key).await;
                // Also those that began before the store was told, and may have read the old value from it.
                self.flights.void(&key, || ());
                removed
            }
        }
    }

    /// Stores an output. In memory it is there at once; the future is for the shared store.
    pub(crate) fn put(&'static self, key: K, output: &O::Output) -> BoxFuture<'static, Result<()>> {
        let (Some(ttl), Some(value)) = (self.lifetime(output), O::as_value(output)) else {
            // What would not be remembered must not leave an older value behind.
            return Box::pin(self.invalidate(key));
        };
        match &self.tiers {
            Tiers::Memory(memory) => {
                let entry = Entry::new(value.clone(), ttl);
                let evicted = self.flights.void(&key, || memory.insert(key.clone(), entry));
                drop(evicted);
                Box::pin(std::future::ready(Ok(())))
            }
            Tiers::Shared(tier) => {
                let payload = tier.encode(value, ttl);
                Box::pin(async move {
                    let payload = payload?;
                    self.flights.void(&key, || ());
                    let put = tier.put(&key, payload).await;
                    self.flights.void(&key, || ());
                    put
                })
            }
        }
    }

    pub(crate) async fn peek(&'static self, key: K) -> Option<O::Output> {
        match &self.tiers {
            Tiers::Memory(memory) => memory.get(&key).map(O::from_value),
            Tiers::Shared(tier) => tier.peek(&key).await.map(O::from_value),
        }
    }

    async fn clear(&'static self) -> Result<()> {
        match &self.tiers {
            Tiers::Memory(memory) => {
                self.flights.void_all(|| memory.clear());
                Ok(())
            }
            Tiers::Shared(tier) => {
                self.flights.void_all(|| ());
                let cleared = tier.clear().await;
                self.flights.void_all(|| ());
                cleared
            }
        }
    }
}

impl<K: KeyType, O: Outcome> fmt::Debug for Cache<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("policy", self.policy).finish_non_exhaustive()
    }
}

impl<K, O: Outcome> Rules<K, O> {
    pub(crate) const NONE: Self =
        Self { cache_if: None, ttl_from: None, absent: None, weigh: None, tier: None };

    /// The user weighs successes; anything else that is stored weighs its own size.
    fn weigher(self) -> Option<Weigh<K, O::Value>>
    where
        K: 'static,
    {
        let weigh = self.weigh?;
        Some(Arc::new(move |key, value| match O::stored_success(value) {
            Some(success) => weigh(key, success),
            None => size_of::<O::Value>() as u64,
        }))
    }
}

impl<K, O: Outcome> Clone for Rules<K, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, O: Outcome> Copy for Rules<K, O> {}

impl<K, O: Outcome> fmt::Debug for Rules<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// A cache without its types.
pub(crate) trait AnyCache: Sync {
    fn entries(&self) -> u64;
    fn clear(&'static self) -> BoxFuture<'static, Result<()>>;
    /// Removes what is under a key; `None` if keys here are of another type.
    fn invalidate(&'static self, key: &(dyn Any + Send + Sync)) -> Option<BoxFuture<'static, Result<()>>>;
}

impl<K: KeyType, O: Outcome> AnyCache for Cache<K, O> {
    fn entries(&self) -> u64 {
        match &self.tiers {
            Tiers::Memory(memory) => memory.len() as u64,
            Tiers::Shared(_) => 0,
        }
    }

    fn clear(&'static self) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.clear())
    }

    fn invalidate(&'static self, key: &(dyn Any + Send + Sync)) -> Option<BoxFuture<'static, Result<()>>> {
        let key = key.downcast_ref::<K>()?.clone();
        Some(Box::pin(self.invalidate(key)))
    }
}
