//! The table of flights by itself, in every order of two calls, and in many of three.
//!
//! What is remembered is a number, under a lock of its own as the tier in the process has it; what is computed is the
//! version of the source that it was read from.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle, yield_now};

use crate::call::{Flight, Flights, Joined, Sequence, Waited};
use crate::explore::{exhaust, explore};
use crate::util::sync::{AtomicU64, Mutex, Ordering, PoisonError};

const KEY: u8 = 7;

/// A flight is abandoned with a `&str`.
type Table = Flights<u8, u64, &'static str>;

struct World {
    flights: Table,
    memory: Mutex<Option<u64>>,
    /// The version of what is computed from.
    source: AtomicU64,
    /// How many computations run.
    running: AtomicU64,
}

/// What a call did.
#[derive(Debug, PartialEq, Eq)]
enum Called {
    Found(u64),
    Computed(u64),
    Joined(u64),
    Disappointed,
    Inherited(Option<&'static str>),
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flights: Flights::in_shards(1),
            memory: Mutex::new(None),
            source: AtomicU64::new(0),
            running: AtomicU64::new(0),
        })
    }

    fn remembered(&self) -> Option<u64> {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, value: Option<u64>) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    /// What a call computes. One at a time, where nothing is voided.
    fn compute(&self) -> u64 {
        let others = self.running.fetch_add(1, Ordering::SeqCst);
        assert_eq!(others, 0, "two calls compute at one time");
        let value = self.read();
        self.running.fetch_sub(1, Ordering::SeqCst);
        value
    }

    fn read(&self) -> u64 {
        self.source.load(Ordering::SeqCst)
    }

    /// The source changes; what is computed from now on is newer.
    fn change(&self) {
        self.source.fetch_add(1, Ordering::SeqCst);
    }

    fn join(&self) -> Joined<u64, u64, &'static str> {
        self.flights.join(&KEY, || self.remembered())
    }

    fn lead(&self) -> Arc<Flight<u64, &'static str>> {
        match self.join() {
            Joined::Leads(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    fn land(&self, flight: &Arc<Flight<u64, &'static str>>, value: u64) {
        self.flights.land(&KEY, flight, |_| self.remember(Some(value)));
        flight.publish(true, || {
            yield_now();
            Some(value)
        });
    }

    fn call(&self) -> Called {
        let turn = Sequence::take();
        match self.join() {
            Joined::Settled(value) => Called::Found(value),
            Joined::Leads(flight) => {
                let value = self.compute();
                self.land(&flight, value);
                Called::Computed(value)
            }
            Joined::Follows(follower) => {
                let flight = Arc::clone(&follower.flight);
                match block_on(follower.wait(turn)) {
                    Waited::Landed(value) => Called::Joined(*value),
                    Waited::Abandoned => Called::Inherited(flight.take_handoff()),
                    Waited::Failed | Waited::Outdated => Called::Disappointed,
                    Waited::TooLong => panic!("there are no timers"),
                }
            }
            Joined::Recurses => panic!("nobody is inside"),
        }
    }

    fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        run: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let world = Arc::clone(self);
        thread::spawn(move || run(&world))
    }

    /// Nothing that is older than the source is remembered.
    fn assert_current(&self) {
        let remembered = self.remembered();
        assert!(remembered.is_none_or(|value| value == self.read()), "{remembered:?} is remembered");
    }
}

#[test]
fn what_was_computed_before_an_invalidation_is_not_stored_after_it() {
    exhaust(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        world.change();
        world.flights.invalidate(&KEY, || world.remember(None));
        world.assert_current();
        call.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn what_was_computed_before_a_clear_is_not_stored_after_it() {
    exhaust(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        world.change();
        world.flights.invalidate_all(|| world.remember(None));
        world.assert_current();
        call.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn what_was_computed_before_either_of_two_clears_is_not_stored_after_it() {
    explore(|| {
        let world = World::new();
        let flight = world.lead();
        let value = world.read();
        let clear = |world: &Arc<World>| {
            world.change();
            world.flights.invalidate_all(|| world.remember(None));
        };
        let cleared = world.spawn(clear);
        let landed = world.spawn(move |world| world.land(&flight, value));
        clear(&world);
        cleared.join().unwrap();
        landed.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn what_was_put_is_not_replaced_by_what_was_computed_before() {
    exhaust(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        world.change();
        world.flights.invalidate(&KEY, || world.remember(Some(world.read())));
        call.join().unwrap();
        assert_eq!(world.remembered(), Some(1));
    });
}

#[test]
fn what_was_computed_without_a_flight_is_not_stored_after_an_invalidation() {
    exhaust(|| {
        let world = World::new();
        let call = world.spawn(|world| {
            let since = world.flights.invalidations(&KEY);
            let value = world.read();
            world.flights.unless_invalidated(&KEY, since, || world.remember(Some(value)));
        });
        world.change();
        world.flights.invalidate(&KEY, || world.remember(None));
        call.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn a_flight_that_was_withdrawn_stores_nothing_after_an_invalidation() {
    exhaust(|| {
        let world = World::new();
        let flight = world.lead();
        let withdrawn = Arc::clone(&flight);
        let withdrawal = world.spawn(move |world| world.flights.withdraw(&KEY, &withdrawn));
        let landing = world.spawn(move |world| {
            let value = world.read();
            world.land(&flight, value);
        });
        world.change();
        world.flights.invalidate(&KEY, || world.remember(None));
        withdrawal.join().unwrap();
        landing.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn a_flight_that_was_superseded_does_not_replace_what_came_of_the_other() {
    exhaust(|| {
        let world = World::new();
        let flight = world.lead();
        let landing = world.spawn(move |world| {
            let value = world.read();
            world.land(&flight, value);
        });
        world.change();
        let flight = world.flights.supersede(&KEY);
        let value = world.read();
        world.land(&flight, value);
        landing.join().unwrap();
        assert_eq!(world.remembered(), Some(1));
    });
}

#[test]
fn of_calls_at_one_time_one_computes_and_all_get_it() {
    exhaust(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        let calls = [world.call(), call.join().unwrap()];
        let computed = calls.iter().filter(|called| **called == Called::Computed(0)).count();
        assert_eq!(computed, 1, "{calls:?}");
        assert!(!calls.contains(&Called::Disappointed), "{calls:?}");
    });
}

#[test]
fn whoever_waits_for_a_failure_is_told() {
    exhaust(|| {
        let world = World::new();
        let flight = world.lead();
        let call = world.spawn(|world| world.call());
        world.flights.withdraw(&KEY, &flight);
        flight.publish(true, || {
            yield_now();
            None
        });
        assert!(matches!(call.join().unwrap(), Called::Disappointed | Called::Computed(0)));
    });
}

#[test]
fn whoever_comes_when_a_result_is_on_its_way_gets_no_older_one() {
    exhaust(|| {
        let world = World::new();
        let flight = world.lead();
        flight.body_begins();
        let value = world.read();
        // As with a store, which takes a result only if nothing was invalidated since.
        let landing = world.spawn(move |world| {
            world.flights.seal(&KEY, &flight);
            let is_stored = {
                let mut memory = world.memory.lock().unwrap_or_else(PoisonError::into_inner);
                let is_current = world.read() == value;
                if is_current {
                    *memory = Some(value);
                }
                is_current
            };
            world.flights.withdraw(&KEY, &flight);
            flight.publish(is_stored, || Some(value));
        });
        // Another process changes something, and then there is a call in this one.
        world.change();
        world.remember(None);
        let turn = Sequence::take();
        match world.join() {
            Joined::Follows(follower) => {
                let waited = block_on(follower.wait(turn));
                assert!(matches!(waited, Waited::Outdated), "{waited:?}");
            }
            Joined::Settled(value) => assert_eq!(value, 1),
            Joined::Leads(_) => {}
            Joined::Recurses => panic!("nobody is inside"),
        }
        landing.join().unwrap();
    });
}

#[test]
fn what_is_refused_is_for_those_who_came_before_its_body_and_new_enough_for_them() {
    exhaust(|| {
        let world = World::new();
        let flight = world.lead();
        let follows = world.spawn(|world| {
            // What was changed before this the body has to have seen.
            world.change();
            let (turn, seen) = (Sequence::take(), world.read());
            match world.join() {
                Joined::Follows(follower) => match block_on(follower.wait(turn)) {
                    Waited::Landed(value) => assert!(*value >= seen, "{value} after {seen}"),
                    Waited::Outdated => {}
                    other => panic!("{other:?}"),
                },
                Joined::Leads(_) => {}
                other => panic!("{other:?}"),
            }
        });
        flight.body_begins();
        let value = world.read();
        world.flights.seal(&KEY, &flight);
        world.flights.withdraw(&KEY, &flight);
        flight.publish(false, || Some(value));
        follows.join().unwrap();
    });
}

#[test]
fn what_an_abandoned_flight_leaves_is_for_one() {
    explore(|| {
        let world = World::new();
        let flight = world.lead();
        let follow = |flight: &Arc<_>| {
            let flight = Arc::clone(flight);
            move |world: &Arc<World>| match world.join() {
                Joined::Follows(follower) if Arc::ptr_eq(&follower.flight, &flight) => {
                    assert!(matches!(block_on(follower.wait(Sequence::take())), Waited::Abandoned));
                    Some(flight.take_handoff())
                }
                // It came when that one was gone.
                Joined::Leads(_) | Joined::Follows(_) => None,
                other => panic!("{other:?}"),
            }
        };
        let follows = [world.spawn(follow(&flight)), world.spawn(follow(&flight))];
        world.flights.withdraw(&KEY, &flight);
        flight.abandon(Some("handoff"));
        let left: Vec<_> = follows.into_iter().filter_map(|follow| follow.join().unwrap()).collect();
        assert_eq!(left.iter().flatten().count(), usize::from(!left.is_empty()), "{left:?}");
    });
}
