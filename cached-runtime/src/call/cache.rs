//! What all calls of one instance of a function share.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Failures;
use super::flight::Flights;
use crate::lookup::{Origin, Source};
use crate::memory::{CachedValue, Entry, State};
use crate::memory::{DerivedTags, TagSnapshot};
use crate::memory::{Evicted, Memory, Weigh};
use crate::policy::Counters;
use crate::policy::Policy;
use crate::shared::{HeldLease, Tier};
use crate::signature::{KeyParts, KeyType, Probe};
use crate::signature::{ReturnKind, TimeoutOutput};
use crate::util::Moment;
use crate::util::random;
use crate::{BoxFuture, Result};

/// What those who wait for a computation get.
pub(crate) enum FlightOutput<O: ReturnKind> {
    Output(O::Shared, Origin),
    TimeoutOutput(TimeoutOutput<O::Output>),
}

impl<O: ReturnKind> Clone for FlightOutput<O> {
    fn clone(&self) -> Self {
        match self {
            Self::Output(shared, origin) => Self::Output(shared.clone(), *origin),
            Self::TimeoutOutput(timed_out) => Self::TimeoutOutput(*timed_out),
        }
    }
}

/// The tiers of one instance, and the flights before them.
pub(crate) struct Cache<K: KeyType, O: ReturnKind> {
    name: String,
    pub(crate) policy: &'static Policy,
    pub(crate) counters: &'static Counters,
    pub(crate) rules: TypedOptions<K, O>,
    pub(crate) flights: Flights<K, FlightOutput<O>, HeldLease>,
    pub(crate) failures: Failures<K>,
    pub(crate) tiers: Tiers<K, O::Value>,
}

/// Where values live.
pub(crate) enum Tiers<K, V> {
    Memory(Memory<K, V>),
    Shared(Box<Tier<K, V>>),
}

/// The options whose types only the function knows.
pub(crate) struct TypedOptions<K, O: ReturnKind> {
    pub(crate) cache_if: Option<fn(&O::Success) -> bool>,
    pub(crate) ttl_from: Option<fn(&O::Success) -> Duration>,
    pub(crate) absent: Option<fn(&O::Output) -> bool>,
    pub(crate) weigh: Option<fn(&K, &O::Success) -> u64>,
    pub(crate) tags_from: Option<TagsFrom<O::Success>>,
    pub(crate) timed_out: Option<TimeoutOutput<O::Output>>,
    pub(crate) tier: Option<NewTier<K, O::Value>>,
}

/// The tags that a value tells.
pub(crate) type TagsFrom<S> = fn(&S) -> Vec<String>;

/// How the shared tier of an instance is made, when it has one.
pub(crate) type NewTier<K, V> =
    fn(&'static Policy, &str, &'static Counters, is_err: fn(&V) -> bool, has_tags_from: bool) -> Tier<K, V>;

impl<K: KeyType, O: ReturnKind> Cache<K, O> {
    pub(crate) fn new(
        policy: &'static Policy,
        name: &str,
        counters: &'static Counters,
        rules: TypedOptions<K, O>,
    ) -> Self {
        let tiers = match rules.tier {
            Some(tier) => {
                let has_tags_from = rules.tags_from.is_some();
                Tiers::Shared(Box::new(tier(policy, name, counters, O::is_stored_err, has_tags_from)))
            }
            None => Tiers::Memory(Memory::new(policy.bound, policy.retention(), rules.weigher(), counters)),
        };
        let (flights, failures) = (Flights::new(), Failures::new());
        Self { name: name.to_owned(), policy, counters, rules, flights, failures, tiers }
    }

    /// The value in memory under a key that is still borrowed, if nothing else is to be done.
    #[inline]
    pub(crate) fn hit(&self, parts: &impl KeyParts<Owned = K>) -> Option<O::Output> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        let entry = memory.get(&Probe(parts))?;
        if !entry.is_plain_hit(self.policy.refresh_ahead) {
            return None;
        }
        self.counters.hits.add_one();
        Some(O::from_value(entry.value))
    }

    /// What memory has under a key, for a closer look, and until when it is fresh.
    pub(crate) fn kept(&self, key: &K) -> Option<(CachedValue<O::Value>, Moment)> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        let entry = memory.get(key).filter(Entry::is_current)?;
        let (age, until) = (entry.age(), entry.fresh_until());
        let retention = if O::is_stored_err(&entry.value) { Duration::ZERO } else { self.policy.retention() };
        let state = age.state(retention, self.policy.refresh_ahead);
        (state != State::Expired).then_some((CachedValue { value: entry.value, age, state }, until))
    }

    /// A fresh value in memory, if one is there by now.
    pub(crate) fn settled(&self, key: &K) -> Option<(O::Output, Origin)> {
        let (kept, _) = self.kept(key)?;
        let origin = Origin { source: Source::Memory, age: kept.age.since };
        matches!(kept.state, State::Fresh | State::Due).then(|| (O::from_value(kept.value), origin))
    }

    /// Until when the value in memory is fresh.
    pub(crate) fn until(&self, key: &K) -> Option<Moment> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        memory.get(key).filter(Entry::is_current).map(|entry| entry.fresh_until())
    }

    /// How long an output is to be remembered, if at all.
    pub(crate) fn lifetime(&self, key: &K, output: &O::Output) -> Option<Duration> {
        let ttl = self.whole_lifetime(output)?;
        let jitter = f64::from(self.policy.jitter());
        // Always the same part for one key, on whatever machine.
        Some(if jitter > 0.0 { ttl.mul_f64(1.0 - jitter * random::part(stable_hash(key))) } else { ttl })
    }

    fn whole_lifetime(&self, output: &O::Output) -> Option<Duration> {
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

    /// The tags that only an output itself can tell, if there is one.
    pub(crate) fn told_by(&self, output: Option<&O::Output>) -> DerivedTags {
        match (self.rules.tags_from, output.and_then(O::success)) {
            (None, _) => DerivedTags::Known(Vec::new()),
            (Some(tags_from), Some(success)) => DerivedTags::Known(tags_from(success)),
            (Some(_), None) => DerivedTags::Any,
        }
    }

    /// The tags of what is about to be computed, if the function has any.
    pub(crate) fn tagged(&self, tags: &[String]) -> Option<TagSnapshot> {
        let has_tags = !tags.is_empty() || self.rules.tags_from.is_some();
        has_tags.then(|| TagSnapshot::new(tags))
    }

    /// The name of the function and a digest of the key.
    pub(crate) fn display_key(&self, key: &K) -> String {
        match &self.tiers {
            Tiers::Memory(_) => format!("{}:{:016x}", self.name, stable_hash(key)),
            Tiers::Shared(tier) => tier.display_key(key),
        }
    }

    /// Stores an entry in memory, if that is where values live; returns what gave way to it.
    pub(crate) fn remember(&'static self, key: K, entry: Entry<O::Value>) -> Option<Evicted<K, O::Value>> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        Some(memory.insert(key, entry))
    }

    /// Removes what memory has under a key, if that is where values live, and returns it.
    pub(crate) fn forget(&self, key: &K) -> Option<Evicted<K, O::Value>> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        Some(memory.remove(key))
    }

    pub(crate) async fn invalidate(&'static self, key: K) -> Result<()> {
        match &self.tiers {
            Tiers::Memory(memory) => {
                let removed = self.flights.invalidate(&key, || memory.remove(&key));
                drop(removed);
                Ok(())
            }
            Tiers::Shared(tier) => {
                self.flights.invalidate(&key, || ());
                let removed = tier.remove(&key).await;
                // Also those that began before the store was told, and may have read the old value from it.
                self.flights.invalidate(&key, || ());
                removed
            }
        }
    }

    /// Makes a value stale, and voids the computation of it that is under way.
    pub(crate) async fn expire(&'static self, key: K, tags: Vec<String>) -> Result<()> {
        // The next call is to compute, whatever came before.
        let recover = || self.failures.forget(&key);
        match &self.tiers {
            Tiers::Memory(memory) => {
                let evicted = self.flights.invalidate(&key, || (recover(), memory.expire(&key)));
                drop(evicted);
                Ok(())
            }
            Tiers::Shared(tier) => {
                self.flights.invalidate(&key, recover);
                let expired = tier.expire(&key, &tags).await;
                self.flights.invalidate(&key, || ());
                expired
            }
        }
    }

    /// Stores an output. In memory it is there at once; the future is for the shared store.
    pub(crate) fn put(
        &'static self,
        key: K,
        tags: Vec<String>,
        output: &O::Output,
    ) -> BoxFuture<'static, Result<()>> {
        let (Some(ttl), Some(value)) = (self.lifetime(&key, output), O::as_value(output)) else {
            // What would not be remembered must not leave an older value behind.
            return Box::pin(self.invalidate(key));
        };
        let told = self.told_by(Some(output));
        match &self.tiers {
            Tiers::Memory(memory) => {
                let tagged = self.tagged(&tags).map(|mut tagged| {
                    tagged.extend(&told);
                    Arc::new(tagged)
                });
                let entry = Entry::new(value.clone(), ttl, Duration::ZERO, tagged);
                let evicted = self.flights.invalidate(&key, || memory.insert(key.clone(), entry));
                drop(evicted);
                Box::pin(std::future::ready(Ok(())))
            }
            Tiers::Shared(tier) => {
                let payload = tier.encode(value, ttl, &told);
                Box::pin(async move {
                    let payload = match payload {
                        Ok(payload) => payload,
                        Err(error) => {
                            // Nor must what it was to replace stay.
                            self.invalidate(key).await?;
                            return Err(error);
                        }
                    };
                    self.flights.invalidate(&key, || ());
                    let put = tier.put(&key, &tags, payload).await;
                    self.flights.invalidate(&key, || ());
                    put
                })
            }
        }
    }

    /// What a call would find.
    pub(crate) async fn peek(&'static self, key: K, tags: Vec<String>) -> Option<O::Output> {
        let kept = match &self.tiers {
            Tiers::Memory(_) => self.kept(&key)?.0,
            Tiers::Shared(tier) => tier.peek(&key, &tags).await?,
        };
        match kept.state {
            State::Stale(past) if past >= self.policy.stale_while_revalidate => None,
            State::Fresh | State::Due | State::Stale(_) => Some(O::from_value(kept.value)),
            State::Expired => None,
        }
    }

    async fn clear(&'static self) -> Result<()> {
        match &self.tiers {
            Tiers::Memory(memory) => {
                self.flights.invalidate_all(|| memory.clear());
                Ok(())
            }
            Tiers::Shared(tier) => {
                self.flights.invalidate_all(|| ());
                let cleared = tier.clear().await;
                self.flights.invalidate_all(|| ());
                cleared
            }
        }
    }
}

impl<K: KeyType, O: ReturnKind> fmt::Debug for Cache<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("policy", self.policy).finish_non_exhaustive()
    }
}

impl<K, O: ReturnKind> TypedOptions<K, O> {
    pub(crate) const NONE: Self = Self {
        cache_if: None,
        ttl_from: None,
        absent: None,
        weigh: None,
        tags_from: None,
        timed_out: None,
        tier: None,
    };

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

impl<K, O: ReturnKind> Clone for TypedOptions<K, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, O: ReturnKind> Copy for TypedOptions<K, O> {}

impl<K, O: ReturnKind> fmt::Debug for TypedOptions<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedOptions").finish_non_exhaustive()
    }
}

/// The same in every process.
fn stable_hash(key: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(key)
}

/// A cache without its types.
pub(crate) trait AnyCache: Sync {
    fn entries(&self) -> u64;
    fn clear(&'static self) -> BoxFuture<'static, Result<()>>;
    /// Removes what is under a key; `None` if keys here are of another type.
    fn invalidate(&'static self, key: &(dyn Any + Send + Sync)) -> Option<BoxFuture<'static, Result<()>>>;
}

impl<K: KeyType, O: ReturnKind> AnyCache for Cache<K, O> {
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
