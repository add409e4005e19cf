//! What all calls of one function share: a static that the macro writes, and in it a cache for each instance.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::OnceLock;

use super::namespace::name;
use crate::call::{AnyCache, InstanceCache, TypedOptions};
use crate::policy::{Counters, Function, Policy, registry};
use crate::shared;
use crate::signature::{KeyType, ReturnKind};
use crate::{BoxFuture, Result, Stats};

/// One annotated function. It is not generic, because a `static` in a generic function is one for all its
/// instances; the caches in it are told apart by the types of the instances.
pub struct CachedFunction {
    ask: fn() -> Policy,
    policy: OnceLock<Policy>,
    counters: Counters,
    first: OnceLock<Box<Slot>>,
}

/// The cache of one instance, and behind it that of the next. Most functions have one.
struct Slot {
    instance: TypeId,
    name: String,
    typed: &'static (dyn Any + Send + Sync),
    cache: &'static (dyn AnyCache + Send + Sync),
    next: OnceLock<Box<Self>>,
}

/// One instance of a function: `load::<User>`, `<Repo as Find>::find`.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    site: &'static CachedFunction,
    id: TypeId,
    type_name: &'static str,
}

impl CachedFunction {
    /// A site whose policy is asked for when it is first used.
    #[must_use]
    pub const fn new(ask: fn() -> Policy) -> Self {
        Self { ask, policy: OnceLock::new(), counters: Counters::new(), first: OnceLock::new() }
    }

    /// The instance in which a closure was written: the type of the closure carries every type parameter there.
    #[inline]
    #[must_use]
    pub fn instance<F>(&'static self, _: &F) -> Instance {
        Instance { site: self, id: typeid::of::<F>(), type_name: type_name::<F>() }
    }

    fn policy(&'static self) -> &'static Policy {
        self.policy.get_or_init(|| {
            let policy = (self.ask)();
            if let Some(handle) = policy.handle {
                handle.bind(self);
            }
            registry::enter(self);
            policy
        })
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        std::iter::successors(self.first.get(), |slot| slot.next.get()).map(|slot| &**slot)
    }
}

impl Function for CachedFunction {
    fn name(&'static self) -> &'static str {
        self.first.get().map_or("", |slot| &slot.name)
    }

    fn policy(&'static self) -> &'static dyn fmt::Debug {
        self.policy()
    }

    fn stats(&'static self) -> Stats {
        self.counters.snapshot(self.slots().map(|slot| slot.cache.entries()).sum())
    }

    fn clear(&'static self) -> BoxFuture<'static, Result<()>> {
        Box::pin(async {
            let mut cleared = Ok(());
            for slot in self.slots() {
                // One that fails does not keep the others from being told.
                cleared = slot.cache.clear().await.and(cleared);
            }
            cleared
        })
    }

    fn invalidate<'a>(&'static self, key: &'a (dyn Any + Send + Sync)) -> BoxFuture<'a, Result<usize>> {
        Box::pin(async move {
            let mut instances = Ok(0);
            for slot in self.slots() {
                if let Some(invalidated) = slot.cache.invalidate(key) {
                    instances = invalidated.await.and(instances.map(|instances| instances + 1));
                }
            }
            instances
        })
    }
}

impl fmt::Debug for CachedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedFunction").field("policy", &self.policy.get()).finish_non_exhaustive()
    }
}

impl Instance {
    /// What this function has done so far, all its instances together.
    #[must_use]
    pub fn stats(self) -> Stats {
        self.site.stats()
    }

    /// Removes every value of this instance.
    pub fn clear(self) -> BoxFuture<'static, Result<()>> {
        match self.site.slots().find(|slot| slot.instance == self.id) {
            Some(slot) => slot.cache.clear(),
            // Never called in this process; others may have stored values.
            None => {
                let policy = self.site.policy();
                shared::clear(policy, &name(policy, self.type_name), &self.site.counters)
            }
        }
    }

    /// The cache of this instance.
    #[inline]
    pub(crate) fn cache<K: KeyType, O: ReturnKind>(
        self,
        rules: TypedOptions<K, O>,
    ) -> &'static InstanceCache<K, O> {
        match self.site.first.get().and_then(|slot| slot.cache_of(self.id)) {
            Some(cache) => cache,
            None => self.find_cache(rules),
        }
    }

    #[cold]
    fn find_cache<K: KeyType, O: ReturnKind>(
        self,
        rules: TypedOptions<K, O>,
    ) -> &'static InstanceCache<K, O> {
        let policy = self.site.policy();
        let mut place = &self.site.first;
        loop {
            let slot = place.get_or_init(|| {
                let name = name(policy, self.type_name);
                // Lives as long as the program, as the static does that leads to it.
                let cache: &'static InstanceCache<K, O> =
                    Box::leak(Box::new(InstanceCache::new(policy, &name, &self.site.counters, rules)));
                Box::new(Slot { instance: self.id, name, typed: cache, cache, next: OnceLock::new() })
            });
            if let Some(cache) = slot.cache_of(self.id) {
                return cache;
            }
            place = &slot.next;
        }
    }
}

impl Slot {
    #[inline]
    fn cache_of<K: KeyType, O: ReturnKind>(&self, instance: TypeId) -> Option<&'static InstanceCache<K, O>> {
        if self.instance == instance { self.typed.downcast_ref() } else { None }
    }
}
