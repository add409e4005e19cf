//! Whole calls, as expansions make them, beside each other and beside all that changes what they return.
//!
//! What is computed is the version of a source. Who changes something makes a new version first and takes note of it
//! when the change has returned; who calls after that must not get an older one.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::{block_on, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::call::{
    AnyCache, Cache, CallState, Flights, Found, Miss, Purpose, TagsFrom, Tiers, TypedOptions,
    or_compute_detached,
};
use crate::explore::explore;
use crate::memory::{self, Memory};
use crate::policy::{Bound, Counters, Policy};
use crate::shared::{Store, Tier, Waiting};
use crate::signature::Fallible;
use crate::util::BoxFuture;
use crate::util::sync::{AtomicU64, Ordering};

use Act::{
    Call, Clear, ClearElsewhere, EndLateTag, EndTag, Expire, GiveUp, Invalidate, InvalidateElsewhere, Put,
    Recurse, Refresh,
};

/// What one thread does, one after another.
#[derive(Debug, Clone, Copy)]
enum Act {
    Call,
    /// A call that is dropped at one of its first waits.
    GiveUp,
    /// A call whose function calls itself, with the same key.
    Recurse,
    Refresh,
    Invalidate,
    Expire,
    Put,
    Clear,
    /// A tag of the key is invalidated.
    EndTag,
    /// The same for one that only the value tells.
    EndLateTag,
    /// Another process tells the store.
    InvalidateElsewhere,
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
fn a_dropped_leader_hands_over() {
    explore_both(&POLICY, |world| {
        world.play(&[&[GiveUp], &[GiveUp, Call], &[Call]]);
        assert_eq!(world.overlaps(), 0);
    });
}

#[test]
fn failures_leave_nobody_waiting() {
    explore_both(&POLICY, |world| {
        world.fail(2);
        world.play(&[&[Call], &[Call, Call], &[GiveUp, Call]]);
    });
}

#[test]
fn whoever_calls_itself_does_not_wait_for_itself() {
    explore_both(&POLICY, |world| world.play(&[&[Recurse], &[Call, Call], &[Invalidate, Clear]]));
}

#[test]
fn whoever_calls_itself_after_failures_does_not_wait_for_itself() {
    explore_both(&POLICY, |world| {
        world.fail(4);
        world.play(&[&[Recurse], &[Recurse, Call], &[Recurse]]);
    });
}

#[test]
fn an_invalidation_is_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[Invalidate, Call]]));
}

#[test]
fn two_invalidations_are_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Invalidate, Call], &[Invalidate]]));
}

#[test]
fn a_clear_is_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[Clear, Call]]));
}

#[test]
fn two_clears_are_final() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Clear, Call], &[Clear]]));
}

#[test]
fn what_was_put_stays() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[Put, Call, Put]]));
}

#[test]
fn what_was_refreshed_stays() {
    explore_both(&POLICY, |world| world.play(&[&[Call, Call], &[Refresh, Call], &[Invalidate]]));
}

#[test]
fn changes_are_final_when_leaders_go() {
    explore_both(&POLICY, |world| world.play(&[&[GiveUp, Call], &[Call], &[Invalidate, Clear, Put]]));
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
fn an_invalidation_by_another_process_is_final() {
    explore_in(store, &POLICY, |world| {
        world.play(&[&[Call, Call], &[Call, Call], &[InvalidateElsewhere]]);
    });
}

#[test]
fn a_clear_by_another_process_is_final() {
    explore_in(store, &POLICY, |world| world.play(&[&[Call, Call], &[Call, Call], &[ClearElsewhere]]));
}

#[test]
fn another_process_is_heard_while_this_one_changes_too() {
    explore_in(store, &POLICY, |world| {
        world.play(&[
            &[GiveUp, Call],
            &[Call, Refresh],
            &[Invalidate, Call],
            &[InvalidateElsewhere, ClearElsewhere],
        ]);
    });
}

#[test]
fn the_end_of_a_tag_is_final() {
    explore_all(&POLICY, |world| world.play(&[&[Call, Call], &[Call], &[EndTag, Call]]));
}

#[test]
fn the_end_of_a_tag_that_only_the_value_tells_is_final() {
    explore_all(&TOLD, |world| world.play(&[&[Call, Call], &[Call], &[EndLateTag, Call]]));
}

#[test]
fn the_end_of_a_tag_is_final_when_leaders_go_and_fail() {
    explore_all(&TOLD, |world| {
        world.fail(2);
        world.play(&[&[GiveUp, Call], &[Recurse, Call], &[EndTag, Call, EndLateTag]]);
    });
}

#[test]
fn the_end_of_a_tag_is_final_beside_other_changes() {
    explore_all(&POLICY, |world| world.play(&[&[Call, Refresh, Call], &[Invalidate, Call], &[EndTag, Call]]));
}

#[test]
fn what_was_computed_before_a_tag_ended_does_not_replace_what_came_after() {
    explore_in(memory, &EVERY_CALL_COMPUTES, |world| {
        world.play(&[&[Call], &[EndTag, Call]]);
        assert!(world.computed() <= 2, "the last call has found nothing");
    });
}

#[test]
fn changes_are_final_when_values_are_renewed() {
    explore_all(&RENEWED, |world| {
        world.play(&[&[Call, Expire, Call], &[Expire, Call], &[Invalidate, Call]]);
    });
}

#[test]
fn the_end_of_a_tag_is_final_when_values_are_renewed() {
    explore_all(&RENEWED, |world| {
        world.play(&[&[Call, Expire, Call], &[Expire, Call], &[EndTag, Call]]);
    });
}

#[test]
fn changes_are_final_when_old_values_stand_in_for_failures() {
    explore_all(&RESCUED, |world| {
        block_on(world.act(Call));
        block_on(world.act(Expire));
        world.fail(2);
        world.play(&[&[Call], &[Call], &[Invalidate, Call]]);
    });
}

#[test]
fn the_end_of_a_tag_is_final_when_old_values_stand_in_for_failures() {
    explore_all(&RESCUED, |world| {
        block_on(world.act(Call));
        block_on(world.act(Expire));
        world.fail(2);
        world.play(&[&[Call], &[Call], &[EndTag, Call]]);
    });
}

/// Explores a model with values in memory, in a store, and in a store whose processes do not wait for each other.
fn explore_all(policy: &'static Policy, model: fn(&Arc<World>)) {
    explore_both(policy, model);
    explore_in(hasty_store, policy, model);
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
/// Values tell a tag too. What ends one that no value has yet may be taken for the end of another, also of another test:
/// so with this a call may compute once more than it would have to.
static TOLD: Policy = Policy::new().ttl(HOUR).tagged();
static EVERY_CALL_COMPUTES: Policy = Policy::new().ttl(HOUR).every_call_computes();
static RENEWED: Policy = Policy::new().ttl(HOUR).stale_while_revalidate(HOUR);
static RESCUED: Policy = Policy::new().ttl(HOUR).stale_if_error(HOUR);
static COUNTERS: Counters = Counters::new();

/// The version of the source, or a failure that those who wait can not be told.
type Kind = Fallible<u64, Broken>;

#[derive(Debug)]
struct Broken;

struct World {
    cache: &'static Cache<(u8,), Kind>,
    /// The store, as other processes have it.
    store: Arc<Store>,
    /// Tags are the same in the whole process, so each world has one of its own.
    tag: String,
    /// The version of what is computed from.
    source: AtomicU64,
    /// The last version whose making has returned.
    settled: AtomicU64,
    begun: AtomicU64,
    overlaps: AtomicU64,
    failures: AtomicU64,
}

type NewTiers = fn(&'static Policy, &Arc<Store>) -> Tiers<(u8,), u64>;

fn memory(policy: &'static Policy, _: &Arc<Store>) -> Tiers<(u8,), u64> {
    Tiers::Memory(Memory::new(Bound::Entries(8), policy.retention(), None, &COUNTERS))
}

fn store(policy: &'static Policy, store: &Arc<Store>) -> Tiers<(u8,), u64> {
    shared(policy, store, Waiting::UntilFree)
}

fn hasty_store(policy: &'static Policy, store: &Arc<Store>) -> Tiers<(u8,), u64> {
    shared(policy, store, Waiting::No)
}

fn shared(policy: &'static Policy, store: &Arc<Store>, waiting: Waiting) -> Tiers<(u8,), u64> {
    let keeps_stale = !policy.retention().is_zero();
    Tiers::Shared(Box::new(Tier::new(Arc::clone(store), waiting, keeps_stale, |value| *value, |value| value)))
}

/// The tag that a version tells: that of its world, which is in the upper half.
fn late_tag(version: u64) -> String {
    format!("late tag of world {}", version >> 32)
}

impl World {
    fn new(policy: &'static Policy, tiers: NewTiers) -> Arc<Self> {
        // Not Shuttle's: it counts the worlds of all tests.
        static WORLDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let world = WORLDS.fetch_add(1, Ordering::Relaxed);
        let first = world << 32;
        let store = Arc::<Store>::default();
        let tags_from: Option<TagsFrom<u64>> = Some(|version| vec![late_tag(*version)]);
        let rules = TypedOptions { tags_from: tags_from.filter(|_| policy.has_tags), ..TypedOptions::NONE };
        let mut cache = Cache::new(policy, "", &COUNTERS, rules);
        // One shard, because which one a key is in is drawn anew each time.
        cache.flights = Flights::in_shards(1);
        cache.tiers = tiers(policy, &store);
        Arc::new(Self {
            // Functions keep theirs in a static, so calls expect one that lives for ever.
            cache: Box::leak(Box::new(cache)),
            store,
            tag: format!("tag of world {world}"),
            source: AtomicU64::new(first),
            settled: AtomicU64::new(first),
            begun: AtomicU64::new(0),
            overlaps: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })
    }

    /// Lets the next computations fail.
    fn fail(&self, times: u64) {
        self.failures.store(times, Ordering::SeqCst);
    }

    /// Each thread does its acts; then nothing is left that would hold up a call, or be older than it should be.
    fn play(self: &Arc<Self>, threads: &'static [&'static [Act]]) {
        let threads: Vec<_> = threads
            .iter()
            .map(|acts| {
                let world = Arc::clone(self);
                thread::spawn(move || acts.iter().for_each(|act| block_on(world.act(*act))))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        self.fail(0);
        block_on(self.act(Call));
        // Somebody may still compute in the background; who waits for a lease that was lost waits for ever.
        while self.store.is_leased() {
            thread::yield_now();
        }
    }

    async fn act(self: &Arc<Self>, act: Act) {
        match act {
            Call => self.call(Purpose::Answer, self.compute()).await,
            GiveUp => {
                let waits = thread_rng().gen_range(0..4);
                give_up_after(waits, self.call(Purpose::Answer, self.compute())).await;
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
            Put => self.change(|version| self.cache.put((KEY,), self.tags(), &Ok(version))).await,
            Clear => self.change(|_| AnyCache::clear(self.cache)).await,
            EndTag => self.change(|_| self.end(self.tag.clone())).await,
            EndLateTag => self.change(|version| self.end(late_tag(version))).await,
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

    /// What `invalidate_tag` does.
    async fn end(&self, tag: String) -> crate::Result<()> {
        memory::invalidate_tag(&tag);
        yield_now().await;
        self.store.clear();
        Ok(())
    }

    fn tags(&self) -> Vec<String> {
        vec![self.tag.clone()]
    }

    /// What the expansion of a function does, in the caller's task or in one of its own.
    async fn call(&self, purpose: Purpose, body: BoxFuture<'static, Result<u64, Broken>>) {
        let settled = self.settled.load(Ordering::SeqCst);
        let attempt = || CallState::new(self.cache, (KEY,), self.tags(), purpose);
        let looked = match purpose {
            Purpose::Refresh => Found::Miss(Miss::new(attempt())),
            Purpose::Answer | Purpose::BackgroundRefresh => match self.cache.hit(&(&KEY,)) {
                Some(output) => Found::Hit(output),
                None => attempt().get(),
            },
        };
        let output = if thread_rng().gen_bool(0.5) {
            looked.or_compute(|| body).await
        } else {
            or_compute_detached(looked, || body).await
        };
        if let Ok(version) = output {
            assert!(version >= settled, "version {version:x} after version {settled:x} was settled");
            if purpose == Purpose::Refresh {
                self.settled.fetch_max(version, Ordering::SeqCst);
            }
        }
    }

    /// The function: takes its time, and may fail.
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

    /// How many computations began.
    fn computed(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// How many began before an earlier one had ended.
    fn overlaps(&self) -> u64 {
        self.overlaps.load(Ordering::SeqCst)
    }

    async fn change<F: Future<Output = crate::Result<()>>>(&self, change: impl FnOnce(u64) -> F) {
        let version = self.source.fetch_add(1, Ordering::SeqCst) + 1;
        change(version).await.unwrap();
        self.settled.fetch_max(version, Ordering::SeqCst);
    }
}

impl Drop for World {
    /// The cache is never dropped, but its values are: their tags take up room in the whole process.
    fn drop(&mut self) {
        if let Tiers::Memory(memory) = &self.cache.tiers {
            memory.clear();
        }
    }
}

/// Drops a future when it has been pending so often.
async fn give_up_after(mut waits: u8, future: impl Future<Output = ()>) {
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
