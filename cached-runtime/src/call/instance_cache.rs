//! What all calls of one instance of a function share: its tiers, its flights, and its options.

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::background::BackgroundQueue;
use super::backoff::{Backoff, Permission};
use super::flights::Flights;
use super::follower_result::FlightOutput;
use super::places::Places;
use super::typed_options::TypedOptions;
use crate::lookup::{Origin, Source};
use crate::memory::{
    Age, CachedValue, DerivedTags, Entry, EntryParts, Freshness, Memory, State, Stored, TagSnapshot,
};
use crate::policy::{Counters, InstanceName, Policy};
use crate::shared::{HeldLease, Tier};
use crate::signature::{KeyParts, KeyType, Probe, ReturnKind};
use crate::util::{Moment, random};
use crate::{BoxFuture, Result, trace};

/// The cache of one instance of a function.
pub(crate) struct InstanceCache<K: KeyType, O: ReturnKind> {
    pub(crate) namespace: String,
    pub(crate) policy: &'static Policy,
    pub(crate) counters: &'static Counters,
    pub(crate) options: TypedOptions<K, O>,
    pub(crate) flights: Flights<K, FlightOutput<O>, HeldLease>,
    pub(crate) backoff: Backoff,
    pub(crate) background: BackgroundQueue,
    /// Where `max_concurrent` bounds the computations.
    pub(crate) places: Option<Places>,
    pub(crate) tiers: Tiers<K, O::Value>,
}

/// Where the values of an instance are stored.
pub(crate) enum Tiers<K, V> {
    Memory(Memory<K, V>),
    Shared(Box<Tier<K, V>>),
}

impl<K: KeyType, O: ReturnKind> InstanceCache<K, O> {
    pub(crate) fn new(
        policy: &'static Policy,
        name: &InstanceName,
        counters: &'static Counters,
        options: TypedOptions<K, O>,
    ) -> Self {
        let tiers = match options.new_tier.filter(|_| policy.is_shared()) {
            Some(new_tier) => {
                let has_tags_from = options.tags_from.is_some();
                Tiers::Shared(Box::new(new_tier(policy, name, counters, O::is_stored_err, has_tags_from)))
            }
            None => {
                let is_plain =
                    !policy.has_tags && options.tags_from.is_none() && policy.refresh_ahead.is_none();
                let parts = if is_plain { EntryParts::Plain } else { EntryParts::Full };
                let (bound, retention) = (policy.bound, policy.retention());
                Tiers::Memory(Memory::new(bound, retention, options.weigher(), parts, counters))
            }
        };
        Self {
            namespace: name.namespace.clone(),
            policy,
            counters,
            options,
            flights: Flights::new(),
            backoff: Backoff::new(),
            background: BackgroundQueue::new(),
            places: policy.max_concurrent.map(Places::new),
            tiers,
        }
    }

    /// Returns the value in memory if it is a plain hit: fresh, current, and not due for a refresh.
    ///
    /// The key is still borrowed.
    #[inline]
    pub(crate) fn hit(&self, parts: &impl KeyParts<Owned = K>) -> Option<O::Output> {
        let Tiers::Memory(memory) = &self.tiers else { return None };
        let value = memory.plain_hit(&Probe(parts), self.policy.refresh_ahead)?;
        self.counters.hits.add_one();
        trace::hit(&self.namespace, Source::Memory, || self.name_in_memory(&Probe(parts)));
        Some(self.options.kind.output_of_value(value))
    }

    pub(crate) fn memory(&self) -> Option<&Memory<K, O::Value>> {
        match &self.tiers {
            Tiers::Memory(memory) => Some(memory),
            Tiers::Shared(_) => None,
        }
    }

    /// Returns the value in memory, unless it has expired, and the time until which it is fresh.
    pub(crate) fn cached(&self, key: &K) -> Option<(CachedValue<O::Value>, Moment)> {
        let stored = self.memory()?.get(key)?;
        let entry = &stored.entry;
        let state = self.state(entry).filter(|state| *state != State::Expired)?;
        let cached = CachedValue { value: entry.value.clone(), age: entry.age(), state };
        Some((cached, entry.fresh_until()))
    }

    /// Returns what the value of an entry may be used for; `None` if one of its tags was invalidated.
    fn state(&self, entry: &Entry<O::Value>) -> Option<State> {
        if !entry.is_usable() {
            return None;
        }
        let retention = if O::is_stored_err(&entry.value) { Duration::ZERO } else { self.policy.retention() };
        Some(entry.age().state(retention, self.policy.refresh_ahead))
    }

    /// Returns a function that reads what is in memory under the hash of a key, for use under a lock: it runs no user
    /// code. What it returns is dropped outside of the lock, and its key is compared there.
    pub(crate) fn reader(
        &'static self,
        key: &K,
    ) -> impl Fn() -> Option<Arc<Stored<K, O::Value>>> + use<K, O> {
        let memory = self.memory().map(|memory| (memory, memory.hash(key)));
        move || memory.and_then(|(memory, hash)| memory.get_by_hash(hash))
    }

    /// Returns `true` if the value of an entry is fresh, for a call that is about to begin a flight. It runs no user code.
    pub(crate) fn is_fresh(entry: &Entry<O::Value>) -> bool {
        entry.is_current() && matches!(entry.age().freshness, Freshness::Fresh(_))
    }

    /// Returns the output for an entry that was fresh, if it has this key.
    pub(crate) fn output(&self, key: &K, stored: &Stored<K, O::Value>) -> Option<(O::Output, Origin)> {
        let origin = origin_of(Source::Memory, &stored.entry.age());
        (stored.key == *key).then(|| (self.options.kind.output_of_value(stored.entry.value.clone()), origin))
    }

    /// Returns the permission to compute the key now, if there is one: see [`Backoff::try_begin`].
    pub(crate) fn try_begin(&self, key: &K) -> Option<Permission> {
        self.backoff.try_begin(self.flights.hash(key))
    }

    /// Returns the time to live of an output, with jitter; `None` if the output is not to be cached.
    pub(crate) fn ttl(&self, key: &K, output: &O::Output) -> Option<Duration> {
        if let (Some(memory), true) = (self.memory(), self.policy.has_evaluated_retention()) {
            memory.set_retention(self.policy.retention());
        }
        let ttl = self.ttl_without_jitter(output)?;
        let jitter = f64::from(self.policy.jitter());
        // The hash is stable, so a key has the same jitter in every process.
        Some(if jitter > 0.0 {
            ttl.mul_f64(1.0 - jitter * random::fraction_from_bits(stable_hash(key)))
        } else {
            ttl
        })
    }

    fn ttl_without_jitter(&self, output: &O::Output) -> Option<Duration> {
        if self.policy.is_disabled() {
            return None;
        }
        let Some(success) = O::success(output) else {
            return if O::is_err(output) { self.policy.error_ttl_now() } else { self.policy.none_ttl_now() };
        };
        if self.options.is_absent.is_some_and(|is_absent| is_absent(output)) {
            return self.policy.none_ttl_now();
        }
        if !self.options.cache_if.is_none_or(|cache_if| cache_if(success)) {
            return None;
        }
        self.options.ttl_from.map(|ttl_from| ttl_from(success)).or(self.policy.ttl_now())
    }

    /// Returns the tags that are derived from an output; `output` is `None` after a timeout.
    pub(crate) fn derived_tags(&self, output: Option<&O::Output>) -> DerivedTags {
        match (self.options.tags_from, output.and_then(O::success)) {
            (None, _) => DerivedTags::Known(Vec::new()),
            (Some(tags_from), Some(success)) => DerivedTags::Known(tags_from(success)),
            (Some(_), None) => DerivedTags::Any,
        }
    }

    /// Takes a snapshot of the static tags before a computation; `None` if the function has no tags at all.
    pub(crate) fn tag_snapshot(&self, tags: &[String]) -> Option<TagSnapshot> {
        let has_tags = !tags.is_empty() || self.options.tags_from.is_some();
        has_tags.then(|| TagSnapshot::new(tags))
    }

    /// Returns the name of the entry of a key: the namespace and a digest; in a shared store, the name by which the server
    /// has it.
    pub(crate) fn entry_name(&self, key: &K) -> Result<String> {
        match &self.tiers {
            Tiers::Memory(_) => Ok(self.name_in_memory(key)),
            Tiers::Shared(tier) => tier.entry_name(key),
        }
    }

    fn name_in_memory(&self, key: &impl Hash) -> String {
        format!("{}:{:016x}", self.namespace, stable_hash(key))
    }

    /// As [`entry_name`](Self::entry_name); the namespace alone for a key that cannot be serialized.
    pub(crate) fn display_key(&self, key: &K) -> String {
        self.entry_name(key).unwrap_or_else(|_| self.namespace.clone())
    }

    /// Removes the value of a key, and discards the computation that is in flight.
    pub(crate) async fn invalidate(&'static self, key: K) -> Result<()> {
        match &self.tiers {
            Tiers::Memory(memory) => {
                let hash = memory.hash(&key);
                let removed = self.flights.invalidate(&key, || memory.remove(hash));
                drop(removed);
                Ok(())
            }
            Tiers::Shared(tier) => {
                self.flights.invalidate(&key, || ());
                let removed = tier.remove(&key).await;
                // A computation that began before the removal may have read the old value from the store.
                self.flights.invalidate(&key, || ());
                removed
            }
        }
    }

    /// Makes the value of a key stale, and discards the computation that is in flight.
    pub(crate) async fn expire(&'static self, key: K, tags: Vec<String>) -> Result<()> {
        // The next call is to compute, even during the backoff after a failure.
        let backoff_key = self.flights.hash(&key);
        let reset_backoff = || self.backoff.reset(backoff_key);
        match &self.tiers {
            Tiers::Memory(memory) => {
                let hash = memory.hash(&key);
                let evicted = self.flights.invalidate(&key, || (reset_backoff(), memory.expire(hash)));
                drop(evicted);
                Ok(())
            }
            Tiers::Shared(tier) => {
                self.flights.invalidate(&key, reset_backoff);
                let expired = tier.expire(&key, &tags).await;
                self.flights.invalidate(&key, || ());
                expired
            }
        }
    }

    /// Stores an output, and discards the computation that is in flight.
    ///
    /// In memory the value is stored when this returns; the future is for the shared store.
    pub(crate) fn put(
        &'static self,
        key: K,
        tags: Vec<String>,
        output: O::Output,
    ) -> BoxFuture<'static, Result<()>> {
        let ttl = self.ttl(&key, &output);
        let derived_tags = self.derived_tags(Some(&output));
        let Some(ttl) = ttl else {
            // An output that is not cached still replaces the older value.
            return Box::pin(self.invalidate(key));
        };
        match &self.tiers {
            Tiers::Memory(memory) => {
                let (_, Some(value)) = self.options.kind.with_value(output, Clone::clone) else {
                    return Box::pin(self.invalidate(key));
                };
                let tags = self.tag_snapshot(&tags).map(|mut snapshot| {
                    snapshot.extend(&derived_tags);
                    Arc::new(snapshot)
                });
                let entry = Entry::new(value, ttl, Duration::ZERO, tags);
                let stored = memory.prepare(&key, entry);
                let evicted = self.flights.invalidate(&key, || memory.insert(stored));
                drop(evicted);
                Box::pin(std::future::ready(Ok(())))
            }
            Tiers::Shared(tier) => {
                let encode = |value: &O::Value| tier.encode(value, ttl, &derived_tags);
                let (_, Some(payload)) = self.options.kind.with_value(output, encode) else {
                    return Box::pin(self.invalidate(key));
                };
                Box::pin(async move {
                    let payload = match payload {
                        Ok(payload) => payload,
                        Err(error) => {
                            // A value that cannot be encoded still replaces the older value.
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

    /// Returns the value that a call would return without computing.
    pub(crate) async fn peek(&'static self, key: K, tags: Vec<String>) -> Option<O::Output> {
        let cached = match &self.tiers {
            Tiers::Memory(_) => self.cached(&key)?.0,
            Tiers::Shared(tier) => tier.peek(&key, &tags).await?,
        };
        match cached.state {
            State::Stale(past) if past >= self.policy.stale_while_revalidate_now() => None,
            State::Fresh | State::Due | State::Stale(_) => {
                Some(self.options.kind.output_of_value(cached.value))
            }
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

impl<K: KeyType, O: ReturnKind> fmt::Debug for InstanceCache<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceCache").field("policy", self.policy).finish_non_exhaustive()
    }
}

/// The cache of an instance, without the types of its key and value.
pub(crate) trait AnyCache: Sync {
    /// Returns the number of entries in memory.
    fn entries(&self) -> u64;
    /// Returns the sum of the weights of the entries in memory.
    fn weight(&self) -> u64;
    /// Returns the number of keys that are being computed in this process.
    fn computing(&self) -> usize;
    /// Returns what the attribute calls the backend.
    fn backend(&self) -> &'static str;
    /// Drops every value in memory, and discards every computation that is in flight.
    #[cfg(feature = "test-util")]
    fn drop_values(&'static self);
    /// Removes every value, and discards every computation that is in flight.
    fn clear(&'static self) -> BoxFuture<'static, Result<()>>;
}

impl<K: KeyType, O: ReturnKind> AnyCache for InstanceCache<K, O> {
    fn entries(&self) -> u64 {
        match &self.tiers {
            Tiers::Memory(memory) => memory.len() as u64,
            Tiers::Shared(_) => 0,
        }
    }

    fn weight(&self) -> u64 {
        self.memory().map_or(0, Memory::weight)
    }

    fn computing(&self) -> usize {
        self.flights.keys()
    }

    fn backend(&self) -> &'static str {
        self.policy.backend()
    }

    #[cfg(feature = "test-util")]
    fn drop_values(&'static self) {
        self.flights.invalidate_all(|| {
            if let Some(memory) = self.memory() {
                memory.clear();
            }
        });
    }

    fn clear(&'static self) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.clear())
    }
}

/// Returns a hash that is the same in every process.
fn stable_hash(key: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(key)
}

/// Returns where a value with this age came from.
pub(super) const fn origin_of(source: Source, age: &Age) -> Origin {
    Origin { source, age: age.elapsed, fresh_for: age.fresh_for() }
}
