//! The changes that began in this process while a put of the same key was in flight.
//!
//! A put goes on in the background if its future is dropped, and takes several operations. So the server may execute its
//! request for the lease after a change that began later, and was confirmed meanwhile. A put therefore *watches* the keys that
//! it depends on. Every other change is recorded at its beginning, before anything is sent, and a put shortly before it changes
//! the key: if it were recorded earlier, each of many puts could give way to the next one, and none would be stored.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::Sender;

use crate::Key;

/// The keys of one namespace that puts of this process watch.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The number of watched keys, so that a change need not lock them when there are none.
    number: AtomicUsize,
    watches: Mutex<Watches>,
}

/// The watches of each key, in the order in which they began.
type Watches = HashMap<Key, Vec<Sender<Seen>>>;

/// The changes that a watch has seen.
#[derive(Debug, Default)]
struct Seen {
    has_any: bool,
    /// Those that have not ended.
    in_flight: usize,
    failed: usize,
    /// Whether the store has confirmed one.
    has_confirmed: bool,
}

impl Changes {
    /// Begins to watch keys. It sees the changes that begin from now on.
    pub(super) fn watch(&'static self, keys: Vec<Key>) -> ChangeWatch {
        let watch = ChangeWatch { changes: self, keys, seen: Sender::default() };
        let mut watches = self.lock();
        for key in &watch.keys {
            watches.entry(key.clone()).or_default().push(watch.seen.clone());
        }
        self.count(&watches);
        drop(watches);
        watch
    }

    /// Returns `true` if a key is watched.
    ///
    /// A caller that begins a change after a put sees the keys of that put: its program orders the two.
    pub(super) fn has_watches(&self) -> bool {
        self.number.load(Ordering::Relaxed) > 0
    }

    /// Records the beginning of a change of these keys.
    pub(super) fn begin<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> BegunChange {
        let watches = self.lock();
        BegunChange::new(keys.into_iter().filter_map(|key| watches.get(key)).flatten())
    }

    /// Records the beginning of a change of every key.
    pub(super) fn begin_of_all(&self) -> BegunChange {
        BegunChange::new(self.lock().values().flatten())
    }

    fn count(&self, watches: &Watches) {
        self.number.store(watches.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees the changes of some keys that begin during its life.
#[derive(Debug)]
pub(crate) struct ChangeWatch {
    changes: &'static Changes,
    keys: Vec<Key>,
    seen: Sender<Seen>,
}

impl ChangeWatch {
    /// Returns `true` if a change has begun.
    pub(super) fn is_changed(&self) -> bool {
        self.seen.borrow().has_any
    }

    /// Returns `true` if the store has confirmed a change.
    pub(super) fn has_confirmed(&self) -> bool {
        self.seen.borrow().has_confirmed
    }

    /// Waits for the end of a change, unless the store has confirmed one or none is in flight; returns `true` if one is
    /// confirmed.
    ///
    /// It does not wait until all have ended: while the store fails, there may always be another one.
    pub(super) async fn is_confirmed(&self) -> bool {
        let failed = self.seen.borrow().failed;
        let has_ended = |seen: &Seen| seen.has_confirmed || seen.in_flight == 0 || seen.failed > failed;
        self.seen.subscribe().wait_for(has_ended).await.is_ok_and(|seen| seen.has_confirmed)
    }

    /// Records that the put that watches these keys changes them now. Those that began before it see this.
    pub(super) fn begin_change(&self) -> BegunChange {
        let watches = self.changes.lock();
        let older = |key| {
            let of_key = watches.get(key).into_iter().flatten();
            of_key.take_while(|watch: &&Sender<Seen>| !watch.same_channel(&self.seen))
        };
        BegunChange::new(self.keys.iter().flat_map(older))
    }
}

impl Drop for ChangeWatch {
    fn drop(&mut self) {
        let mut watches = self.changes.lock();
        for key in &self.keys {
            if let Some(of_key) = watches.get_mut(key) {
                of_key.retain(|watch| !watch.same_channel(&self.seen));
                if of_key.is_empty() {
                    watches.remove(key);
                }
            }
        }
        self.changes.count(&watches);
    }
}

/// A change that has begun. It has failed if this is dropped.
#[derive(Debug, Default)]
pub(crate) struct BegunChange {
    seen_by: Vec<Sender<Seen>>,
    is_confirmed: bool,
}

impl BegunChange {
    fn new<'a>(seen_by: impl Iterator<Item = &'a Sender<Seen>>) -> Self {
        let seen_by: Vec<_> = seen_by.cloned().collect();
        for seen in &seen_by {
            seen.send_modify(|seen| (seen.has_any, seen.in_flight) = (true, seen.in_flight + 1));
        }
        Self { seen_by, is_confirmed: false }
    }

    /// The store has confirmed the change.
    pub(super) fn confirm(mut self) {
        self.is_confirmed = true;
    }
}

impl Drop for BegunChange {
    fn drop(&mut self) {
        for seen in &self.seen_by {
            seen.send_modify(|seen| {
                seen.in_flight -= 1;
                if self.is_confirmed {
                    seen.has_confirmed = true;
                } else {
                    seen.failed += 1;
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
        let (one, both) = (changes.watch(vec![key(1)]), changes.watch(vec![key(1), key(2), key(1)]));
        assert!(!one.is_changed() && !both.is_changed());
        drop(changes.begin([&key(2), &key(3)]));
        assert!(!one.is_changed() && both.is_changed() && !both.has_confirmed());
        changes.begin_of_all().confirm();
        assert!(one.has_confirmed() && both.has_confirmed());
    }

    #[test]
    fn nothing_is_left_of_watches() {
        let changes = changes();
        assert!(!changes.has_watches());
        let (one, both) = (changes.watch(vec![key(1), key(1)]), changes.watch(vec![key(1), key(2)]));
        drop(one);
        assert!(changes.has_watches());
        let change = changes.begin([&key(1)]);
        drop(both);
        drop(change);
        assert!(!changes.has_watches() && changes.lock().is_empty());
    }

    #[test]
    fn a_put_is_seen_by_those_that_began_before_it() {
        let changes = changes();
        let watches = [(); 3].map(|()| changes.watch(vec![key(1)]));
        watches[1].begin_change().confirm();
        assert_eq!(watches.each_ref().map(ChangeWatch::has_confirmed), [true, false, false]);
    }

    #[tokio::test]
    async fn waiting_ends_with_the_next_change_that_ends() {
        let changes = changes();
        let watch = changes.watch(vec![key(1)]);
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

        let watch = changes.watch(vec![key(1)]);
        drop(changes.begin([&key(1)]));
        assert!(!watch.is_confirmed().await);
        let (failed, unfinished) = (changes.begin([&key(1)]), changes.begin([&key(1)]));
        let (is_confirmed, ()) = tokio::join!(watch.is_confirmed(), async { drop(failed) });
        assert!(!is_confirmed);
        drop(unfinished);
    }
}
