//! Whole calls, as expansions make them, concurrent with each other and with every operation that changes their result.
//!
//! A computation returns the version of a source. A change creates a new version first, and records it when the
//! operation has returned; a call that begins after that must not return an older version.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::{block_on, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::call::{
    AnyCache, CallState, Flights, Found, InstanceCache, Miss, Purpose, TagsFrom, Tiers, TypedOptions,
    or_compute_detached,
};
use crate::explore::explore;
use crate::memory::{self, EntryParts, Memory};
use crate::policy::{Bound, Counters, InstanceName, Policy};
use crate::shared::{Store, Tier, Waiting};
use crate::signature::{Fallible, fallible};
use crate::util::BoxFuture;
use crate::util::sync::{AtomicU64, Ordering};

use Action::{
    Call, CallAndDrop, Clear, ClearElsewhere, Expire, Invalidate, InvalidateDerivedTag, InvalidateElsewhere,
    InvalidateTag, Put, Recurse, Refresh,
};

/// One action of a thread.
#[derive(Debug, Clone, Copy)]
enum Action {
    Call,
    /// A call that is dropped at one of its first four polls.
    CallAndDrop,
    /// A call whose function calls itself with the same key.
    Recurse,
    Refresh,
    Invalidate,
    Expire,
    Put,
    Clear,
    /// Invalidates the static tag of the key.
    InvalidateTag,
    /// Invalidates the tag that is derived from the value.
    InvalidateDerivedTag,
    /// Another process invalidates the key in the store.
    InvalidateElsewhere,
    /// Another process clears the store.
    ClearElsewhere,
}

#[test]
fn one_of_many_calls_computes() {
    explore_both(&POLICY, |world| {
        world.play(&[&[Call], &[Call], &[Call, Call]]);
        assert_eq!(world.computed(), 1);
    });
}

#[test]
fn dropped_leader_hands_over() {
    explore_both(&POLICY, |world| {
        world.play(&[&[CallAndDrop], &[CallAndDrop, Call], &[Call]]);
        assert_eq!(world.overlaps(), 0);
    });
}

#[test]
fn failures_leave_no_call_waiting() {
    explore_both(&POLICY, |world| {
        world.fail(2);
        world.play(&[&[Call], &[Call, Call], &[CallAndDrop, Call]]);
    });
}

#[test]
fn calls_that_compute_beside_others_leave_no_call_waiting() {
    explore_all(&POLICY, |world| {
        world.fail(5);
        world.play(&[&[Call], &[Call], &[CallAndDrop, Call], &[Call], &[Call, Invalidate]]);
    });
}

#[test]
fn recursive_call_does_not_wait_for_itself() {
    explore_both(&POLICY, |world| world.play(&[&[Recurse], &[Call, Call], &[Invalidate, Clear]]));
}

#[test]
fn recursive_call_after_failures_does_not_wait_for_itself() {
    explore_both(&POLICY, |world| {
        world.fail(4);
        world.play(&[&[Recurse], &[Recurse, Call], &[Recurse]]);
    });
}

#[test]
fn invalidation_is_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[Invalidate, Call]]));
}

#[test]
fn two_invalidations_are_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Invalidate, Call], &[Invalidate]]));
}

#[test]
fn clear_is_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[Clear, Call]]));
}

#[test]
fn two_clears_are_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Clear, Call], &[Clear]]));
}

#[test]
fn put_value_stays() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[Put, Call, Put]]));
}

#[test]
fn refreshed_value_stays() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Refresh, Call], &[Invalidate]]));
}

#[test]
fn changes_are_final_when_leaders_are_dropped() {
    explore_both(&POLICY, |world| world.play(&[&[CallAndDrop, Call], &[Call], &[Invalidate, Clear, Put]]));
}

#[test]
fn changes_are_final_when_computations_fail() {
    explore_both(&POLICY, |world| {
        world.fail(3);
        world.play(&[&[Call, Call], &[Call, Call], &[Invalidate, Put]]);
    });
}

#[test]
fn changes_are_final_where_every_call_computes() {
    explore_both(&EVERY_CALL_COMPUTES, |world| {
        world.play(&[&[Call, Call], &[Call], &[Invalidate, Clear, Put]]);
    });
}

#[test]
fn invalidation_by_another_process_is_final() {
    explore_in(store, &POLICY, |world| {
        world.play(&[&[Call, Call], &[Call, Call], &[InvalidateElsewhere]]);
    });
}

#[test]
fn clear_by_another_process_is_final() {
    explore_in(store, &POLICY, |world| world.play(&[&[Call, Call], &[Call, Call], &[ClearElsewhere]]));
}

#[test]
fn changes_of_two_processes_are_final() {
    explore_in(store, &POLICY, |world| {
        world.play(&[
            &[CallAndDrop, Call],
            &[Call, Refresh],
            &[Invalidate, Call],
            &[InvalidateElsewhere, ClearElsewhere],
        ]);
    });
}

#[test]
fn tag_invalidation_is_final() {
    explore_all(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[InvalidateTag, Call]]));
}

#[test]
fn invalidation_of_a_derived_tag_is_final() {
    explore_all(&DERIVED_TAGS, |world| world.play(&[&[Call, Call], &[Call], &[InvalidateDerivedTag, Call]]));
}

#[test]
fn tag_invalidation_is_final_when_leaders_are_dropped_or_fail() {
    explore_all(&DERIVED_TAGS, |world| {
        world.fail(2);
        world.play(&[&[CallAndDrop, Call], &[Recurse, Call], &[InvalidateTag, Call, InvalidateDerivedTag]]);
    });
}

#[test]
fn tag_invalidation_is_final_with_concurrent_changes() {
    explore_all(&POLICY, |world| {
        world.play(&[&[Call, Refresh, Call], &[Invalidate, Call], &[InvalidateTag, Call]]);
    });
}

#[test]
fn result_computed_before_a_tag_invalidation_does_not_replace_a_later_one() {
    explore_in(memory, &EVERY_CALL_COMPUTES, |world| {
        world.play(&[&[Call], &[InvalidateTag, Call]]);
        assert!(world.computed() <= 2, "the last call did not find the value");
    });
}

#[test]
fn changes_are_final_with_background_refreshes() {
    explore_all(&BACKGROUND_REFRESH, |world| {
        world.play(&[&[Call, Expire, Call], &[Expire, Call], &[Invalidate, Call]]);
    });
}

#[test]
fn tag_invalidation_is_final_with_background_refreshes() {
    explore_all(&BACKGROUND_REFRESH, |world| {
        world.play(&[&[Call, Expire, Call], &[Expire, Call], &[InvalidateTag, Call]]);
    });
}

#[test]
fn changes_are_final_when_stale_values_replace_errors() {
    explore_all(&STALE_IF_ERROR, |world| {
        block_on(world.perform(Call));
        block_on(world.perform(Expire));
        world.fail(2);
        world.play(&[&[Call], &[Call], &[Invalidate, Call]]);
    });
}

#[test]
fn tag_invalidation_is_final_when_stale_values_replace_errors() {
    explore_all(&STALE_IF_ERROR, |world| {
        block_on(world.perform(Call));
        block_on(world.perform(Expire));
        world.fail(2);
        world.play(&[&[Call], &[Call], &[InvalidateTag, Call]]);
    });
}

/// Explores a model with values in memory, in a store, and in a store where a busy lease is answered at once.
fn explore_all(policy: &'static Policy, model: fn(&Arc<World>)) {
    explore_both(policy, model);
    explore_in(store_without_lease_wait, policy, model);
}

/// Explores a model with values in memory, and with values in a store.
fn explore_both(policy: &'static Policy, model: fn(&Arc<World>)) {
    explore_in(memory, policy, model);
    explore_in(store, policy, model);
}

fn explore_in(tiers: NewTiers, policy: &'static Policy, model: fn(&Arc<World>)) {
    explore(move || model(&World::new(policy, tiers)));
}

const KEY: u8 = 7;
const HOUR: Duration = Duration::from_secs(3_600);
static POLICY: Policy = Policy::new().ttl(HOUR);
/// Values have a derived tag too. The invalidation of a tag without values counts for every such tag, also for those of
/// other tests; so with this policy a call may compute once more than necessary.
static DERIVED_TAGS: Policy = Policy::new().ttl(HOUR).with_tags();
static EVERY_CALL_COMPUTES: Policy = Policy::new().ttl(HOUR).single_flight_off();
static BACKGROUND_REFRESH: Policy = Policy::new().ttl(HOUR).stale_while_revalidate(HOUR);
static STALE_IF_ERROR: Policy = Policy::new().ttl(HOUR).stale_if_error(HOUR);
static COUNTERS: Counters = Counters::new();

/// A function that returns the version of the source, or an error that cannot be shared with followers.
type Kind = Fallible<u64, Broken>;

#[derive(Debug)]
struct Broken;

struct World {
    cache: &'static InstanceCache<(u8,), Kind>,
    /// The store, as other processes access it.
    store: Arc<Store>,
    /// The static tag. Tags are global in the process, so each world has its own.
    tag: String,
    /// The current version.
    source: AtomicU64,
    /// The last version whose change has returned.
    committed: AtomicU64,
    /// The number of computations that began.
    begun: AtomicU64,
    /// The number of computations that began before an earlier one had ended.
    overlaps: AtomicU64,
    /// The number of computations that are still to fail.
    failures: AtomicU64,
}

type NewTiers = fn(&'static Policy, &Arc<Store>) -> Tiers<(u8,), u64>;

fn memory(policy: &'static Policy, _: &Arc<Store>) -> Tiers<(u8,), u64> {
    Tiers::Memory(Memory::new(Bound::Entries(8), policy.retention(), None, EntryParts::Full, &COUNTERS))
}

fn store(policy: &'static Policy, store: &Arc<Store>) -> Tiers<(u8,), u64> {
    shared(policy, store, Waiting::UntilFree)
}

fn store_without_lease_wait(policy: &'static Policy, store: &Arc<Store>) -> Tiers<(u8,), u64> {
    shared(policy, store, Waiting::No)
}

fn shared(policy: &'static Policy, store: &Arc<Store>, waiting: Waiting) -> Tiers<(u8,), u64> {
    let keeps_stale = !policy.retention().is_zero();
    Tiers::Shared(Box::new(Tier::new(Arc::clone(store), waiting, keeps_stale, |value| *value, |value| value)))
}

/// Returns the tag that is derived from a version: that of its world, whose number is the upper half.
fn derived_tag(version: u64) -> String {
    format!("derived tag of world {}", version >> 32)
}

impl World {
    fn new(policy: &'static Policy, tiers: NewTiers) -> Arc<Self> {
        // Not an atomic of Shuttle, because it counts the worlds of all tests.
        static WORLDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let world = WORLDS.fetch_add(1, Ordering::Relaxed);
        let first = world << 32;
        let store = Arc::<Store>::default();
        let tags_from: Option<TagsFrom<u64>> = Some(|version| vec![derived_tag(*version)]);
        let tags_from = tags_from.filter(|_| policy.has_tags);
        let name = InstanceName { namespace: String::new(), has_local_type: false, is_named: false };
        let options = TypedOptions { tags_from, ..TypedOptions::new(fallible()) };
        let mut cache = InstanceCache::new(policy, &name, &COUNTERS, options);
        // One shard, because the hasher is random and would choose another shard in each run.
        cache.flights = Flights::with_shards(1);
        cache.tiers = tiers(policy, &store);
        Arc::new(Self {
            // The cache of a function is in a static, so calls need a `'static` one.
            cache: Box::leak(Box::new(cache)),
            store,
            tag: format!("tag of world {world}"),
            source: AtomicU64::new(first),
            committed: AtomicU64::new(first),
            begun: AtomicU64::new(0),
            overlaps: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// Makes the next computations fail.
    fn fail(&self, times: u64) {
        self.failures.store(times, Ordering::SeqCst);
    }

    /// Runs the actions of each thread, then checks that a further call neither waits forever nor returns an old version.
    fn play(self: &Arc<Self>, threads: &'static [&'static [Action]]) {
        let threads: Vec<_> = threads
            .iter()
            .map(|actions| {
                let world = Arc::clone(self);
                thread::spawn(move || actions.iter().for_each(|action| block_on(world.perform(*action))))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        self.fail(0);
        block_on(self.perform(Call));
        // A background refresh may still hold the lease. A lease that was lost would make this loop endless.
        while self.store.is_leased() {
            thread::yield_now();
        }
    }

    async fn perform(self: &Arc<Self>, action: Action) {
        match action {
            Call => self.call(Purpose::Answer, self.compute()).await,
            CallAndDrop => {
                let waits = thread_rng().gen_range(0..4);
                drop_after(waits, self.call(Purpose::Answer, self.compute())).await;
            }
            Recurse => {
                let world = Arc::clone(self);
                let body = Box::pin(async move {
                    world.call(Purpose::Answer, world.compute()).await;
                    world.compute().await
                });
                self.call(Purpose::Answer, body).await;
            }
            Refresh => self.call(Purpose::Refresh, self.compute()).await,
            Invalidate => self.change(|_| self.cache.invalidate((KEY,))).await,
            Expire => {
                let expire = self.cache.expire((KEY,), self.tags());
                if self.cache.policy.retention().is_zero() {
                    self.change(|_| expire).await;
                } else {
                    // The value may still be returned.
                    expire.await.unwrap();
                }
            }
            Put => self.change(|version| self.cache.put((KEY,), self.tags(), Ok(version))).await,
            Clear => self.change(|_| AnyCache::clear(self.cache)).await,
            InvalidateTag => self.change(|_| self.invalidate_tag(self.tag.clone())).await,
            InvalidateDerivedTag => self.change(|version| self.invalidate_tag(derived_tag(version))).await,
            InvalidateElsewhere => {
                let invalidate = async {
                    self.store.remove();
                    Ok(())
                };
                self.change(|_| invalidate).await;
            }
            ClearElsewhere => {
                let clear = async {
                    self.store.clear();
                    Ok(())
                };
                self.change(|_| clear).await;
            }
        }
    }

    /// Invalidates a tag in memory and in the store, as `invalidate_tag` does.
    async fn invalidate_tag(&self, tag: String) -> crate::Result<()> {
        memory::invalidate_tag(&tag);
        yield_now().await;
        self.store.clear();
        Ok(())
    }

    fn tags(&self) -> Vec<String> {
        vec![self.tag.clone()]
    }

    /// Makes a call as the expansion of a function does, with the body in the caller's task or in a task of its own.
    async fn call(&self, purpose: Purpose, body: BoxFuture<'static, Result<u64, Broken>>) {
        let committed = self.committed.load(Ordering::SeqCst);
        let state = || CallState::new(self.cache, (KEY,), self.tags(), purpose);
        let found = match purpose {
            Purpose::Refresh | Purpose::Uncached => Found::Miss(Miss::new(state())),
            Purpose::Answer | Purpose::BackgroundRefresh => match self.cache.hit(&(&KEY,)) {
                Some(output) => Found::Hit(output),
                None => state().get(),
            },
        };
        let output = if thread_rng().gen_bool(0.5) {
            found.or_compute(|| body).await
        } else {
            or_compute_detached(found, || body).await
        };
        if let Ok(version) = output {
            assert!(version >= committed, "version {version:x} after version {committed:x} was committed");
            if purpose == Purpose::Refresh {
                self.committed.fetch_max(version, Ordering::SeqCst);
            }
        }
    }

    /// The function: pending once, and an error if [`fail`](Self::fail) says so.
    fn compute(self: &Arc<Self>) -> BoxFuture<'static, Result<u64, Broken>> {
        let world = Arc::clone(self);
        Box::pin(async move {
            let begun = world.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let version = world.source.load(Ordering::SeqCst);
            yield_now().await;
            if world.begun.load(Ordering::SeqCst) != begun {
                world.overlaps.fetch_add(1, Ordering::SeqCst);
            }
            let failure =
                world.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if failure.is_ok() { Err(Broken) } else { Ok(version) }
        })
    }

    /// Returns the number of computations that began.
    fn computed(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Returns the number of computations that began before an earlier one had ended.
    fn overlaps(&self) -> u64 {
        self.overlaps.load(Ordering::SeqCst)
    }

    /// Creates a new version, and records it when `change` has returned.
    async fn change<F: Future<Output = crate::Result<()>>>(&self, change: impl FnOnce(u64) -> F) {
        let version = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        change(version).await.unwrap();
        self.committed.fetch_max(version, Ordering::SeqCst);
    }
}

impl Drop for World {
    /// Drops the values, because their tags use memory of the whole process. The cache itself is leaked.
    fn drop(&mut self) {
        if let Tiers::Memory(memory) = &self.cache.tiers {
            memory.clear();
        }
    }
}

/// Drops a future when it has been pending this many times.
async fn drop_after(mut waits: u8, future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if waits == 0 || future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        waits -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
