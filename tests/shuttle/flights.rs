//! The table of flights alone, in all orders of two threads, and in many orders of three.
//!
//! The cache is a number in a mutex of its own, like the in-process tier. A computation returns the version of the source
//! that it reads.

use std::sync::Arc;

use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle, yield_now};
use tokio::time::Instant;

use crate::call::{Attempt, Ends, Flight, FlightEnd, Flights, Joined, Outdates, Sequence};
use crate::explore::{explore, explore_all_orders};
use crate::util::sync::{AtomicU64, Mutex, Ordering, PoisonError};

const KEY: u8 = 7;

/// The handoff of a flight is a `&str`.
type Table = Flights<u8, u64, &'static str>;

struct World {
    flights: Table,
    memory: Mutex<Option<u64>>,
    /// The current version.
    source: AtomicU64,
    /// The number of computations that run.
    running: AtomicU64,
}

/// The outcome of a call.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Hit(u64),
    Computed(u64),
    Joined(u64),
    NoResult,
    HandedOver(Option<&'static str>),
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flights: Flights::with_shards(1),
            memory: Mutex::new(None),
            source: AtomicU64::new(0),
            running: AtomicU64::new(0),
        })
    }

    fn cached(&self) -> Option<u64> {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, value: Option<u64>) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    /// Computes the value of a call. Where nothing is discarded, only one call computes at a time.
    fn compute(&self) -> u64 {
        let others = self.running.fetch_add(1, Ordering::SeqCst);
        assert_eq!(others, 0, "two calls compute at the same time");
        let value = self.read();
        self.running.fetch_sub(1, Ordering::SeqCst);
        value
    }

    fn read(&self) -> u64 {
        self.source.load(Ordering::SeqCst)
    }

    /// Changes the source: computations that begin from now on return a newer version.
    fn change(&self) {
        self.source.fetch_add(1, Ordering::SeqCst);
    }

    fn join(&self) -> Joined<u64, u8, u64, &'static str> {
        self.flights.join(&KEY, Attempt::Alone, || self.cached())
    }

    fn lead(&self) -> Arc<Flight<u8, u64, &'static str>> {
        match self.join() {
            Joined::Leader(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    fn complete(&self, flight: &Arc<Flight<u8, u64, &'static str>>, value: u64) {
        self.complete_as(flight, value, Outdates::None);
    }

    fn complete_as(&self, flight: &Arc<Flight<u8, u64, &'static str>>, value: u64, outdates: Outdates) {
        let store = |is_valid: bool| match outdates {
            _ if is_valid => self.store(Some(value)),
            Outdates::All => self.store(None),
            Outdates::None => {}
        };
        let ((), others) = self.flights.complete(flight, Ends::All, outdates, store);
        flight.publish(&others, true, || {
            yield_now();
            Some(value)
        });
    }

    fn call(&self) -> Outcome {
        let sequence = Sequence::next();
        match self.join() {
            Joined::Cached(value) => Outcome::Hit(value),
            Joined::Leader(flight) => {
                let value = self.compute();
                self.complete(&flight, value);
                Outcome::Computed(value)
            }
            Joined::Follower(follower) => {
                let flight = Arc::clone(&follower.flight);
                match block_on(follower.wait(sequence)) {
                    FlightEnd::Completed(value) => Outcome::Joined(*value),
                    FlightEnd::Abandoned => Outcome::HandedOver(flight.take_left_lease()),
                    FlightEnd::Failed | FlightEnd::Outdated => Outcome::NoResult,
                    FlightEnd::Stalled => panic!("there are no timers"),
                }
            }
            Joined::Recursive => panic!("no call is recursive"),
        }
    }

    fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        run: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let world = Arc::clone(self);
        thread::spawn(move || run(&world))
    }

    /// Checks that the cached value, if any, is of the current version.
    fn assert_current(&self) {
        let cached = self.cached();
        assert!(cached.is_none_or(|value| value == self.read()), "{cached:?} is cached");
    }
}

#[test]
fn result_computed_before_an_invalidation_is_not_stored_after_it() {
    explore_all_orders(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        world.change();
        world.flights.invalidate(&KEY, || world.store(None));
        world.assert_current();
        call.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn result_computed_before_a_clear_is_not_stored_after_it() {
    explore_all_orders(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        world.change();
        world.flights.invalidate_all(|| world.store(None));
        world.assert_current();
        call.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn result_computed_before_two_clears_is_not_stored_after_either() {
    explore(|| {
        let world = World::new();
        let flight = world.lead();
        let value = world.read();
        let clear = |world: &Arc<World>| {
            world.change();
            world.flights.invalidate_all(|| world.store(None));
        };
        let cleared = world.spawn(clear);
        let completed = world.spawn(move |world| world.complete(&flight, value));
        clear(&world);
        cleared.join().unwrap();
        completed.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn put_value_is_not_replaced_by_a_result_computed_before() {
    explore_all_orders(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        world.change();
        world.flights.invalidate(&KEY, || world.store(Some(world.read())));
        call.join().unwrap();
        assert_eq!(world.cached(), Some(1));
    });
}

#[test]
fn result_computed_without_a_flight_is_not_stored_after_an_invalidation() {
    explore_all_orders(|| {
        let world = World::new();
        let call = world.spawn(|world| {
            let flight = world.flights.begin_independent(&KEY);
            let value = world.read();
            world.complete(&flight, value);
        });
        world.change();
        world.flights.invalidate(&KEY, || world.store(None));
        call.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn withdrawn_flight_stores_nothing_after_an_invalidation() {
    explore_all_orders(|| {
        let world = World::new();
        let flight = world.lead();
        let withdrawn = Arc::clone(&flight);
        let withdrawal = world.spawn(move |world| world.flights.withdraw(&withdrawn, Ends::One));
        let completing = world.spawn(move |world| {
            let value = world.read();
            world.complete(&flight, value);
        });
        world.change();
        world.flights.invalidate(&KEY, || world.store(None));
        withdrawal.join().unwrap();
        completing.join().unwrap();
        world.assert_current();
    });
}

#[test]
fn older_result_does_not_replace_that_of_a_refresh() {
    explore_all_orders(|| {
        let world = World::new();
        let flight = world.lead();
        let completing = world.spawn(move |world| {
            let value = world.read();
            world.complete(&flight, value);
        });
        world.change();
        let flight = world.flights.supersede(&KEY);
        let value = world.read();
        world.complete_as(&flight, value, Outdates::All);
        completing.join().unwrap();
        assert_eq!(world.cached(), Some(1));
    });
}

impl World {
    /// Refreshes, and checks that what is cached then is not older than its value.
    fn refresh(&self) -> u64 {
        let flight = self.flights.supersede(&KEY);
        let value = self.read();
        self.complete_as(&flight, value, Outdates::All);
        assert!(self.cached().is_none_or(|cached| cached >= value), "{:?} after {value}", self.cached());
        value
    }
}

#[test]
fn nothing_older_than_the_value_of_a_refresh_is_cached() {
    explore(|| {
        let world = World::new();
        let others = [
            world.spawn(|world| world.refresh()),
            world.spawn(|world| {
                let flight = world.flights.begin_independent(&KEY);
                let value = world.read();
                world.complete(&flight, value);
                0
            }),
        ];
        world.change();
        world.flights.invalidate(&KEY, || world.store(None));
        world.change();
        let value = world.refresh();
        let newest = others.into_iter().map(|other| other.join().unwrap()).max().max(Some(value));
        assert!(
            world.cached() >= newest || world.cached().is_none(),
            "{:?} after {newest:?}",
            world.cached()
        );
        assert_eq!(world.flights.keys(), 0);
    });
}

#[test]
fn later_call_joins_nothing_that_may_be_older_than_the_value_of_a_refresh() {
    explore_all_orders(|| {
        let world = World::new();
        let refresh = world.flights.supersede(&KEY);
        world.flights.invalidate(&KEY, || ());
        let older = world.lead();
        let completing = world.spawn(move |world| world.complete(&older, 0));
        world.complete_as(&refresh, 1, Outdates::All);
        assert!(
            matches!(world.join(), Joined::Leader(_)),
            "neither the older flight nor its result is there"
        );
        completing.join().unwrap();
    });
}

#[test]
fn failed_refresh_changes_nothing_for_another_one() {
    explore_all_orders(|| {
        let world = World::new();
        let [first, last] = [0; 2].map(|_| world.flights.supersede(&KEY));
        let completing = world.spawn(move |world| world.complete_as(&first, 1, Outdates::All));
        world.flights.withdraw(&last, Ends::One);
        completing.join().unwrap();
        assert_eq!(world.cached(), Some(1));
    });
}

#[test]
fn independent_results_are_stored_unless_their_own_key_is_invalidated() {
    explore_all_orders(|| {
        let world = World::new();
        let flight = world.flights.begin_independent(&KEY);
        let invalidating = world.spawn(|world| world.flights.invalidate(&(KEY + 1), || ()));
        world.complete(&flight, 1);
        invalidating.join().unwrap();
        assert_eq!(world.cached(), Some(1));
    });
}

#[test]
fn one_of_two_concurrent_calls_computes_and_both_get_the_result() {
    explore_all_orders(|| {
        let world = World::new();
        let call = world.spawn(|world| world.call());
        let calls = [world.call(), call.join().unwrap()];
        let computed = calls.iter().filter(|called| **called == Outcome::Computed(0)).count();
        assert_eq!(computed, 1, "{calls:?}");
        assert!(!calls.contains(&Outcome::NoResult), "{calls:?}");
    });
}

#[test]
fn result_of_one_flight_wakes_the_followers_of_another() {
    explore(|| {
        let world = World::new();
        let flight = world.lead();
        let beside = world.flights.join(&KEY, Attempt::BesideOthers, || world.cached());
        let Joined::Leader(hanging) = beside else { panic!("{beside:?}") };
        let calls = [world.spawn(|world| world.call()), world.spawn(|world| world.call())];
        world.complete(&flight, 0);
        for call in calls {
            assert!(matches!(call.join().unwrap(), Outcome::Joined(0) | Outcome::Hit(0)));
        }
        drop(hanging);
    });
}

#[test]
fn neither_of_two_flights_stores_its_result_after_an_invalidation() {
    explore(|| {
        let world = World::new();
        let flight = world.lead();
        let beside = world.flights.join(&KEY, Attempt::BesideOthers, || world.cached());
        let Joined::Leader(beside) = beside else { panic!("{beside:?}") };
        let completing = [flight, beside].map(|flight| {
            world.spawn(move |world| {
                let value = world.read();
                world.complete(&flight, value);
            })
        });
        world.change();
        world.flights.invalidate(&KEY, || world.store(None));
        world.assert_current();
        for completed in completing {
            completed.join().unwrap();
        }
        world.assert_current();
    });
}

#[test]
fn follower_of_a_failed_flight_is_woken() {
    explore_all_orders(|| {
        let world = World::new();
        let flight = world.lead();
        let call = world.spawn(|world| world.call());
        world.flights.withdraw(&flight, Ends::One);
        flight.publish(&[], true, || {
            yield_now();
            None
        });
        assert!(matches!(call.join().unwrap(), Outcome::NoResult | Outcome::Computed(0)));
    });
}

#[test]
fn call_during_the_fill_does_not_get_an_older_result() {
    explore_all_orders(|| {
        let world = World::new();
        let flight = world.lead();
        flight.mark_body_begun(Instant::now());
        let value = world.read();
        // Like a store, which accepts a result only if nothing was invalidated since the body began.
        let completing = world.spawn(move |world| {
            world.flights.seal(&flight);
            let is_stored = {
                let mut memory = world.memory.lock().unwrap_or_else(PoisonError::into_inner);
                let is_current = world.read() == value;
                if is_current {
                    *memory = Some(value);
                }
                is_current
            };
            world.flights.withdraw(&flight, Ends::One);
            flight.publish(&[], is_stored, || Some(value));
        });
        // Another process changes the source, then this process makes a call.
        world.change();
        world.store(None);
        let sequence = Sequence::next();
        match world.join() {
            Joined::Follower(follower) => {
                let end = block_on(follower.wait(sequence));
                assert!(matches!(end, FlightEnd::Outdated), "{end:?}");
            }
            Joined::Cached(value) => assert_eq!(value, 1),
            Joined::Leader(_) => {}
            Joined::Recursive => panic!("no call is recursive"),
        }
        completing.join().unwrap();
    });
}

#[test]
fn rejected_result_is_recent_enough_for_followers_that_called_before_the_body() {
    explore_all_orders(|| {
        let world = World::new();
        let flight = world.lead();
        let follows = world.spawn(|world| {
            // The body must have seen every change before this point.
            world.change();
            let (sequence, seen) = (Sequence::next(), world.read());
            match world.join() {
                Joined::Follower(follower) => match block_on(follower.wait(sequence)) {
                    FlightEnd::Completed(value) => assert!(*value >= seen, "{value} after {seen}"),
                    FlightEnd::Outdated => {}
                    other => panic!("{other:?}"),
                },
                Joined::Leader(_) => {}
                other => panic!("{other:?}"),
            }
        });
        flight.mark_body_begun(Instant::now());
        let value = world.read();
        world.flights.seal(&flight);
        world.flights.withdraw(&flight, Ends::One);
        flight.publish(&[], false, || Some(value));
        follows.join().unwrap();
    });
}

#[test]
fn handoff_of_an_abandoned_flight_goes_to_one_follower() {
    explore(|| {
        let world = World::new();
        let flight = world.lead();
        let follow = |flight: &Arc<_>| {
            let flight = Arc::clone(flight);
            move |world: &Arc<World>| match world.join() {
                Joined::Follower(follower) if Arc::ptr_eq(&follower.flight, &flight) => {
                    assert!(matches!(block_on(follower.wait(Sequence::next())), FlightEnd::Abandoned));
                    Some(flight.take_left_lease())
                }
                // It joined after the flight was withdrawn.
                Joined::Leader(_) | Joined::Follower(_) => None,
                other => panic!("{other:?}"),
            }
        };
        let follows = [world.spawn(follow(&flight)), world.spawn(follow(&flight))];
        world.flights.withdraw(&flight, Ends::One);
        flight.hold("handoff");
        flight.abandon();
        let handoffs: Vec<_> = follows.into_iter().filter_map(|follow| follow.join().unwrap()).collect();
        assert_eq!(handoffs.iter().flatten().count(), usize::from(!handoffs.is_empty()), "{handoffs:?}");
    });
}
