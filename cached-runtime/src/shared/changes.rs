//! The changes that began in this process while a put of the same key was in flight.
//!
//! A put goes on in the background if its future is dropped, and takes several operations. So the server may execute its
//! request for the lease after a change that began later, and was confirmed meanwhile. A put therefore *watches* the keys that
//! it depends on. Every other change is recorded at its beginning, before anything is sent, and a put shortly before it changes
//! the key, for those of other runtimes: in one runtime, [`put_turns`](super::put_turns) makes one at a time.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::Sender;

use crate::Key;

/// The keys of one namespace that puts of this process watch.
///
/// Watches and changes are numbered in the order in which they begin, and a change concerns the watches with a lower number. So
/// what is recorded of a change does not depend on how many puts watch its key.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    last_number: AtomicU64,
    /// The number of watched keys, so that a change need not lock them when there are none.
    watched: AtomicUsize,
    keys: Mutex<HashMap<Key, WatchedKey>>,
}

/// A key that is watched.
#[derive(Debug, Default)]
struct WatchedKey {
    watches: usize,
    recorded: Sender<Recorded>,
}

/// The changes of a key since the first of its watches began.
#[derive(Debug, Default)]
struct Recorded {
    /// The greatest number of a change.
    last: u64,
    /// The greatest number of a change that the store has confirmed.
    last_confirmed: u64,
    /// How many changes with this number have not ended.
    in_flight: BTreeMap<u64, usize>,
    /// How many have failed, and the number of the last one of them.
    failures: (usize, u64),
}

impl Changes {
    /// Begins to watch a key: for the changes that begin from now on.
    pub(super) fn watch(&'static self, key: Key) -> ChangeWatch {
        let mut keys = self.lock();
        let watched = keys.entry(key.clone()).or_default();
        watched.watches += 1;
        let recorded = watched.recorded.clone();
        self.watched.store(keys.len(), Ordering::Relaxed);
        ChangeWatch { changes: self, key, number: self.next_number(), recorded }
    }

    /// Returns `true` if a key is watched.
    ///
    /// A caller that begins a change after a put sees the keys of that put: its program orders the two.
    pub(super) fn has_watches(&self) -> bool {
        self.watched.load(Ordering::Relaxed) > 0
    }

    /// Returns `true` if a put of this key is in flight.
    pub(super) fn is_watched(&self, key: &Key) -> bool {
        self.has_watches() && self.lock().contains_key(key)
    }

    /// Records the beginning of a change of these keys.
    pub(super) fn begin<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> BegunChange {
        let watched = self.lock();
        let recorded = keys.into_iter().filter_map(|key| Some(watched.get(key)?.recorded.clone())).collect();
        drop(watched);
        BegunChange::new(self.next_number(), recorded)
    }

    /// Records the beginning of a change of every key.
    pub(super) fn begin_of_all(&self) -> BegunChange {
        let recorded = self.lock().values().map(|watched| watched.recorded.clone()).collect();
        BegunChange::new(self.next_number(), recorded)
    }

    fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, WatchedKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees the changes of a key that begin during its life.
#[derive(Debug)]
pub(crate) struct ChangeWatch {
    changes: &'static Changes,
    key: Key,
    number: u64,
    recorded: Sender<Recorded>,
}

impl ChangeWatch {
    /// Returns `true` if a change has begun.
    pub(super) fn is_changed(&self) -> bool {
        self.recorded.borrow().last > self.number
    }

    /// Returns `true` if the store has confirmed a change.
    pub(super) fn has_confirmed(&self) -> bool {
        self.recorded.borrow().last_confirmed > self.number
    }

    /// Waits for the end of a change, unless the store has confirmed one or none is in flight; returns `true` if one is
    /// confirmed.
    ///
    /// It does not wait until all have ended: while the store fails, there may always be another one.
    pub(super) async fn is_confirmed(&self) -> bool {
        let (before, _) = self.recorded.borrow().failures;
        let is_confirmed = |recorded: &Recorded| recorded.last_confirmed > self.number;
        let is_in_flight = |recorded: &Recorded| {
            recorded.in_flight.keys().next_back().is_some_and(|last| *last > self.number)
        };
        let has_failed = |recorded: &Recorded| {
            let (count, last) = recorded.failures;
            count > before && last > self.number
        };
        let has_ended =
            |recorded: &Recorded| is_confirmed(recorded) || !is_in_flight(recorded) || has_failed(recorded);
        self.recorded.subscribe().wait_for(has_ended).await.is_ok_and(|recorded| is_confirmed(&recorded))
    }

    /// Records that the put that watches this key changes it now. Those that began before it see this.
    pub(super) fn begin_change(&self) -> BegunChange {
        BegunChange::new(self.number, vec![self.recorded.clone()])
    }
}

impl Drop for ChangeWatch {
    fn drop(&mut self) {
        let mut keys = self.changes.lock();
        let Some(watched) = keys.get_mut(&self.key) else { return };
        watched.watches -= 1;
        let unwatched = if watched.watches == 0 { keys.remove(&self.key) } else { None };
        self.changes.watched.store(keys.len(), Ordering::Relaxed);
        drop((keys, unwatched));
    }
}

/// A change that has begun. It has failed if this is dropped.
#[derive(Debug, Default)]
pub(crate) struct BegunChange {
    number: u64,
    /// Of the keys that were watched.
    recorded: Vec<Sender<Recorded>>,
    is_confirmed: bool,
}

impl BegunChange {
    fn new(number: u64, recorded: Vec<Sender<Recorded>>) -> Self {
        for of_key in &recorded {
            of_key.send_modify(|recorded| {
                recorded.last = recorded.last.max(number);
                *recorded.in_flight.entry(number).or_default() += 1;
            });
        }
        Self { number, recorded, is_confirmed: false }
    }

    /// The store has confirmed the change.
    pub(super) fn confirm(mut self) {
        self.is_confirmed = true;
    }
}

impl Drop for BegunChange {
    fn drop(&mut self) {
        let number = self.number;
        for of_key in &self.recorded {
            of_key.send_modify(|recorded| {
                if let Entry::Occupied(mut in_flight) = recorded.in_flight.entry(number) {
                    *in_flight.get_mut() -= 1;
                    if *in_flight.get() == 0 {
                        in_flight.remove();
                    }
                }
                if self.is_confirmed {
                    recorded.last_confirmed = recorded.last_confirmed.max(number);
                } else {
                    recorded.failures = (recorded.failures.0 + 1, number);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::new("changes", &n).unwrap()
    }

    fn changes() -> &'static Changes {
        Box::leak(Box::default())
    }

    #[test]
    fn a_watch_sees_the_later_changes_of_its_keys() {
        let changes = changes();
        drop(changes.begin([&key(1)]));
        let (one, two) = (changes.watch(key(1)), changes.watch(key(2)));
        assert!(!one.is_changed() && !two.is_changed());
        drop(changes.begin([&key(2), &key(3)]));
        assert!(!one.is_changed() && two.is_changed() && !two.has_confirmed());
        let later = changes.watch(key(2));
        assert!(!later.is_changed());
        changes.begin_of_all().confirm();
        assert!(one.has_confirmed() && two.has_confirmed() && later.has_confirmed());
    }

    #[test]
    fn nothing_is_left_of_watches() {
        let changes = changes();
        assert!(!changes.has_watches());
        let (one, other, two) = (changes.watch(key(1)), changes.watch(key(1)), changes.watch(key(2)));
        drop((one, two));
        assert!(changes.has_watches());
        let change = changes.begin([&key(1)]);
        drop(other);
        drop(change);
        assert!(!changes.has_watches() && changes.lock().is_empty());
    }

    #[test]
    fn a_put_is_seen_by_those_that_began_before_it() {
        let changes = changes();
        let watches = [(); 3].map(|()| changes.watch(key(1)));
        watches[1].begin_change().confirm();
        assert_eq!(watches.each_ref().map(ChangeWatch::has_confirmed), [true, false, false]);
    }

    /// With a record for each pair of puts this would take minutes, and hundreds of megabytes.
    #[test]
    fn what_is_recorded_of_a_put_does_not_grow_with_the_others() {
        let changes = changes();
        let watches: Vec<_> = (0..50_000).map(|_| changes.watch(key(1))).collect();
        let begun: Vec<_> = watches.iter().map(ChangeWatch::begin_change).collect();
        assert!(begun.iter().all(|change| change.recorded.len() == 1));
        assert!(watches[0].is_changed() && !watches[0].has_confirmed() && !watches[49_999].is_changed());
        begun.into_iter().for_each(BegunChange::confirm);
        assert!(watches[..49_999].iter().all(ChangeWatch::has_confirmed) && !watches[49_999].has_confirmed());
    }

    #[tokio::test]
    async fn waiting_ends_with_the_next_change_that_ends() {
        let changes = changes();
        let watch = changes.watch(key(1));
        let (failed, unfinished, confirmed) =
            (changes.begin([&key(1)]), changes.begin([&key(1)]), changes.begin([&key(1)]));
        drop(failed);
        let mut waiting = std::pin::pin!(watch.is_confirmed());
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("two changes are in flight"),
            () = tokio::task::yield_now() => {}
        }
        confirmed.confirm();
        assert!(waiting.await);
        drop(unfinished);

        // The failure of an older change says nothing about a later one.
        let older = changes.watch(key(2)).begin_change();
        let watch = changes.watch(key(2));
        let (later, mut waiting) = (changes.begin([&key(2)]), std::pin::pin!(watch.is_confirmed()));
        drop(older);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("the later change is in flight"),
            () = tokio::task::yield_now() => {}
        }
        later.confirm();
        assert!(waiting.await);

        let watch = changes.watch(key(1));
        drop(changes.begin([&key(1)]));
        assert!(!watch.is_confirmed().await);
        let (failed, unfinished) = (changes.begin([&key(1)]), changes.begin([&key(1)]));
        let (is_confirmed, ()) = tokio::join!(watch.is_confirmed(), async { drop(failed) });
        assert!(!is_confirmed);
        drop(unfinished);
    }
}
