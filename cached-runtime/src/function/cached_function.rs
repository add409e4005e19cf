//! The static of a cached function, with the cache of each of its instances.

use std::any::{Any, TypeId, type_name};
use std::fmt;
#[cfg(feature = "test-util")]
use std::sync::Arc;
use std::sync::OnceLock;

use super::instance_name::{FunctionName, instance_name};
use crate::call::{AnyCache, InstanceCache, TypedOptions};
use crate::policy::{
    Counters, Declaration, ErasedFunction, InstanceInfo, InstanceName, Policy, read_environment, register,
};
#[cfg(feature = "test-util")]
use crate::policy::{Isolation, current_isolation};
use crate::shared;
use crate::signature::{KeyType, ReturnKind};
use crate::{BoxFuture, Result, Stats};

/// The static of one annotated function.
///
/// It is not generic, because all instances of a generic function share one `static`. It has a cache for each instance,
/// identified by the type of the instance.
pub struct CachedFunction {
    declared_name: FunctionName,
    name: OnceLock<String>,
    build_policy: fn() -> Policy,
    policy: OnceLock<Policy>,
    /// Those of the first instance, and of what is done before there is one.
    counters: Counters,
    first_slot: OnceLock<Box<Slot>>,
    /// What it stands for, if that is another function in an isolation.
    #[cfg(feature = "test-util")]
    isolated: Option<Isolated>,
}

/// A function in an isolation.
#[cfg(feature = "test-util")]
struct Isolated {
    function: &'static CachedFunction,
    isolation: Arc<Isolation>,
}

/// The cache of one instance, in a linked list: most functions have one instance.
struct Slot {
    instance: Option<TypeId>,
    namespace: String,
    counters: &'static Counters,
    /// The [`InstanceCache`].
    typed: &'static (dyn Any + Send + Sync),
    /// The same cache, without its types.
    cache: &'static (dyn AnyCache + Send + Sync),
    next: OnceLock<Box<Self>>,
}

/// One instance of a function: `load::<User>`, `<Repo as Find>::find`.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    function: &'static CachedFunction,
    /// `None` if the function has no other instance.
    id: Option<TypeId>,
    type_name: &'static str,
}

impl CachedFunction {
    /// Creates the static of a function; `build_policy` is called when the function is first used.
    #[must_use]
    pub const fn new(declared_name: FunctionName, build_policy: fn() -> Policy) -> Self {
        Self {
            declared_name,
            name: OnceLock::new(),
            build_policy,
            policy: OnceLock::new(),
            counters: Counters::new(),
            first_slot: OnceLock::new(),
            #[cfg(feature = "test-util")]
            isolated: None,
        }
    }

    /// Returns what stands for this function in the isolation that the current future runs in; without one, itself.
    #[inline]
    fn in_isolation(&'static self) -> &'static Self {
        #[cfg(feature = "test-util")]
        if let Some(isolation) = current_isolation() {
            return isolation.function(self, || {
                let own = Self::new(self.declared_name, self.build_policy);
                // Leaked, in tests only. The values in it are dropped when the isolation ends.
                let isolated = Isolated { function: self, isolation: Arc::clone(&isolation) };
                Box::leak(Box::new(Self { isolated: Some(isolated), ..own }))
            });
        }
        self
    }

    /// Returns the name of an instance, which an isolation makes its own.
    fn instance_name(&self, type_name: &str) -> InstanceName {
        let name = instance_name(self.declared_name, type_name);
        #[cfg(feature = "test-util")]
        if let Some(Isolated { isolation, .. }) = &self.isolated {
            return InstanceName { namespace: isolation.name(&name.namespace), ..name };
        }
        name
    }

    /// Drops what the cache holds when the isolation ends, if this function is in one.
    #[cfg_attr(not(feature = "test-util"), allow(clippy::unused_self, reason = "there is no isolation"))]
    fn clear_at_end(&'static self, cache: &'static (dyn AnyCache + Send + Sync)) {
        #[cfg(feature = "test-util")]
        if let Some(Isolated { isolation, .. }) = &self.isolated {
            isolation.at_end(move || {
                cache.drop_values();
                // A switch that stays off would be looked at by every hit.
                self.policy().switch.set(true);
                Box::pin(std::future::ready(()))
            });
        }
        #[cfg(not(feature = "test-util"))]
        let _ = cache;
    }

    /// Returns what lists the function from the start of the program.
    #[must_use]
    pub const fn declaration(&'static self) -> Declaration {
        Declaration::new(self)
    }

    /// Returns the instance that an item belongs to: its type has every type parameter in scope.
    #[inline]
    #[must_use]
    pub fn instance<F>(&'static self, _: &F) -> Instance {
        Instance { function: self.in_isolation(), id: Some(typeid::of::<F>()), type_name: type_name::<F>() }
    }

    /// Returns the instance of a function that has only this one: there is no type parameter in scope.
    #[inline]
    #[must_use]
    pub fn only_instance<F>(&'static self, _: &F) -> Instance {
        Instance { function: self.in_isolation(), id: None, type_name: type_name::<F>() }
    }

    /// Returns the policy. The first call registers the function.
    fn policy(&'static self) -> &'static Policy {
        self.policy.get_or_init(|| {
            read_environment();
            #[cfg(feature = "test-util")]
            if let Some(Isolated { function, .. }) = &self.isolated {
                return (self.build_policy)().placed_as(function.policy());
            }
            let policy = (self.build_policy)().resolve();
            register(self);
            policy
        })
    }

    /// Clears an instance that was never used in this process: other processes may have stored values.
    fn clear_unused(&'static self, namespace: &str) -> BoxFuture<'static, Result<()>> {
        shared::clear(self.policy(), namespace, &self.counters)
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        std::iter::successors(self.first_slot.get(), |slot| slot.next.get()).map(|slot| &**slot)
    }
}

impl ErasedFunction for CachedFunction {
    fn name(&'static self) -> &'static str {
        self.name.get_or_init(|| self.declared_name.display())
    }

    fn options(&'static self) -> &'static dyn fmt::Debug {
        self.policy()
    }

    fn evaluated_options(&'static self) -> Option<&'static dyn fmt::Debug> {
        self.policy.get().map(|policy| policy as &dyn fmt::Debug)
    }

    fn in_isolation(&'static self) -> &'static dyn ErasedFunction {
        self.in_isolation()
    }

    fn stats(&'static self) -> Stats {
        let later = self.slots().skip(1).map(Slot::stats);
        let entries = self.first_slot.get().map_or(0, |slot| slot.cache.entries());
        later.fold(self.counters.snapshot(entries), Stats::plus)
    }

    fn instances(&'static self) -> Vec<InstanceInfo> {
        self.slots().map(Slot::info).collect()
    }

    fn clear(&'static self) -> BoxFuture<'static, Result<()>> {
        #[cfg(feature = "test-util")]
        let may_have_values = self.isolated.is_none();
        #[cfg(not(feature = "test-util"))]
        let may_have_values = true;
        if may_have_values && self.first_slot.get().is_none() && self.declared_name.is_single_instance {
            return self.clear_unused(self.name());
        }
        Box::pin(async {
            let mut cleared = Ok(());
            for slot in self.slots() {
                // A failure does not stop the other instances from being cleared.
                cleared = slot.cache.clear().await.and(cleared);
            }
            cleared
        })
    }
}

impl fmt::Debug for CachedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedFunction").field("policy", &self.policy.get()).finish_non_exhaustive()
    }
}

impl Instance {
    /// Returns the statistics of the function, the sum of all its instances.
    #[must_use]
    pub fn stats(self) -> Stats {
        self.function.stats()
    }

    /// Turns caching of the function off or on, in all its instances.
    pub fn set_enabled(self, enabled: bool) {
        self.function.policy().switch.set(enabled);
    }

    /// Removes every value of this instance.
    #[must_use = "futures do nothing unless polled"]
    pub fn clear(self) -> BoxFuture<'static, Result<()>> {
        match self.function.slots().find(|slot| slot.instance == self.id) {
            Some(slot) => slot.cache.clear(),
            None => {
                let name = self.function.instance_name(self.type_name);
                self.function.clear_unused(&name.namespace)
            }
        }
    }

    /// Returns the cache of this instance, if there is one.
    #[inline]
    pub(crate) fn find_cache<K: KeyType, O: ReturnKind>(self) -> Option<&'static InstanceCache<K, O>> {
        let slot = self.function.first_slot.get()?;
        slot.cache_of(self.id).or_else(|| slot.next_cache_of(self.id))
    }

    /// Returns the cache of this instance, which the first call creates.
    pub(crate) fn cache<K: KeyType, O: ReturnKind>(
        self,
        options: TypedOptions<K, O>,
    ) -> &'static InstanceCache<K, O> {
        let policy = self.function.policy();
        let mut next = &self.function.first_slot;
        loop {
            let slot = next.get_or_init(|| {
                let name = self.function.instance_name(self.type_name);
                let is_first = std::ptr::eq(next, &raw const self.function.first_slot);
                let counters =
                    if is_first { &self.function.counters } else { Box::leak(Box::new(Counters::new())) };
                // The static that refers to it lives for the whole program too.
                let cache: &'static InstanceCache<K, O> =
                    Box::leak(Box::new(InstanceCache::new(policy, &name, counters, options)));
                self.function.clear_at_end(cache);
                let namespace = name.namespace;
                Box::new(Slot {
                    instance: self.id,
                    namespace,
                    counters,
                    typed: cache,
                    cache,
                    next: OnceLock::new(),
                })
            });
            if let Some(cache) = slot.cache_of(self.id) {
                return cache;
            }
            next = &slot.next;
        }
    }
}

impl Slot {
    fn stats(&self) -> Stats {
        self.counters.snapshot(self.cache.entries())
    }

    fn info(&'static self) -> InstanceInfo {
        InstanceInfo {
            name: &self.namespace,
            backend: self.cache.backend(),
            stats: self.stats(),
            weight: self.cache.weight(),
            computing: self.cache.computing(),
            mean_computation: self.counters.mean_computation(),
        }
    }

    /// Returns the cache, if it is that of the instance.
    #[inline]
    fn cache_of<K: KeyType, O: ReturnKind>(
        &self,
        instance: Option<TypeId>,
    ) -> Option<&'static InstanceCache<K, O>> {
        // The comparison of types that follows is made in any case; a function with one instance needs no other.
        if instance.is_none() || self.instance == instance { self.typed.downcast_ref() } else { None }
    }

    /// Returns the cache of the instance, if it is in a later slot.
    #[cold]
    fn next_cache_of<K: KeyType, O: ReturnKind>(
        &self,
        instance: Option<TypeId>,
    ) -> Option<&'static InstanceCache<K, O>> {
        std::iter::successors(self.next.get(), |slot| slot.next.get())
            .find_map(|slot| slot.cache_of(instance))
    }
}
