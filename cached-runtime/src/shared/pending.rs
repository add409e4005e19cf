//! Pending invalidations: those that the shared store has not confirmed.
//!
//! The caller of such an invalidation got an `Err`. It is retried until the store confirms it; until then this process
//! does not use what the store has under that key. The queue is bounded: when it is full, the whole namespace is
//! invalidated instead.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Key;

/// The pending invalidations of one namespace.
#[derive(Debug, Default)]
pub(crate) struct PendingInvalidations {
    /// The number of entries of the queue, so that a call need not lock it when it is empty.
    number: Arc<AtomicUsize>,
    has_retrier: AtomicBool,
    /// The number of the last invalidation that was added; they are numbered from 1.
    last_number: AtomicU64,
    /// How many invalidations were confirmed while the queue had entries.
    confirmations: AtomicU64,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    keys: HashMap<Key, PendingKey>,
    /// The keys by their turns; those with the lowest turns are retried next.
    turns: BTreeMap<Turn, Key>,
    /// The number of the last invalidation of the whole namespace; it includes every key.
    namespace: Option<u64>,
    last_turn: u64,
}

/// When a key is retried: the fewer retries have failed, the sooner. So keys that keep failing, as those of a server of a cluster
/// that is down, do not delay the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    failures: u32,
    number: u64,
}

#[derive(Debug, Clone, Copy)]
struct PendingKey {
    /// The number of the last invalidation of the key.
    number: u64,
    turn: Turn,
}

impl Queue {
    /// Adds a key, or gives it another number, after the others that have failed as often.
    fn insert(&mut self, key: Key, number: u64, failures: u32) {
        self.remove(&key);
        self.last_turn += 1;
        let turn = Turn { failures, number: self.last_turn };
        self.turns.insert(turn, key.clone());
        self.keys.insert(key, PendingKey { number, turn });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(PendingKey { turn, .. }) = self.keys.remove(key) {
            self.turns.remove(&turn);
        }
    }
}

/// An invalidation that can be retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Invalidation {
    Key(Key),
    /// Of every value in the namespace.
    Namespace,
}

/// How many keys are queued one by one; more become an invalidation of the namespace. A key takes about 250 bytes.
const MAX_KEYS: usize = 20_000;
/// How many are retried at the same time.
const BATCH: usize = 64;

/// The pause after the first failed retry; each further failure doubles it.
pub(crate) const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(100);

impl PendingInvalidations {
    /// Adds an invalidation.
    pub(crate) fn add(&self, invalidation: Invalidation) {
        let mut queue = self.lock();
        let number = self.last_number.fetch_add(1, Ordering::AcqRel) + 1;
        match invalidation {
            Invalidation::Key(key) if queue.namespace.is_none() && queue.keys.len() < MAX_KEYS => {
                let failures = queue.keys.get(&key).map_or(0, |pending| pending.turn.failures);
                queue.insert(key, number, failures);
            }
            Invalidation::Key(_) | Invalidation::Namespace => {
                queue.namespace = Some(number);
                (queue.keys, queue.turns) = (HashMap::new(), BTreeMap::new());
            }
        }
        self.count(&queue);
    }

    /// Returns `true` if the store may still have an invalidated value under this key.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.has_any() && {
            let queue = self.lock();
            queue.namespace.is_some() || queue.keys.contains_key(key)
        }
    }

    pub(crate) fn has_any(&self) -> bool {
        self.len() > 0
    }

    pub(super) fn len(&self) -> usize {
        self.number.load(Ordering::Acquire)
    }

    /// Returns `true` if the store may still have any value of the namespace.
    pub(super) fn covers_all(&self) -> bool {
        self.has_any() && self.lock().namespace.is_some()
    }

    /// Returns the pending invalidations that are retried next, without removing them.
    pub(super) fn next(&self) -> Vec<Invalidation> {
        if !self.has_any() {
            return Vec::new();
        }
        let queue = self.lock();
        if queue.namespace.is_some() {
            vec![Invalidation::Namespace]
        } else {
            queue.turns.values().take(BATCH).cloned().map(Invalidation::Key).collect()
        }
    }

    /// Returns `true` if a key was not retried yet.
    pub(super) fn has_untried(&self) -> bool {
        self.has_any() && self.lock().turns.keys().next().is_some_and(|turn| turn.failures == 0)
    }

    /// Records that the store did not confirm a retry.
    pub(super) fn failed(&self, invalidation: &Invalidation) {
        let mut queue = self.lock();
        if let Invalidation::Key(key) = invalidation
            && let Some(&PendingKey { number, turn }) = queue.keys.get(key)
        {
            queue.insert(key.clone(), number, turn.failures.saturating_add(1));
        }
    }

    /// Returns the number of the last invalidation that was added, for a later [`confirm`](Self::confirm).
    pub(crate) fn last_number(&self) -> u64 {
        self.last_number.load(Ordering::Acquire)
    }

    /// Removes what the store has confirmed.
    ///
    /// `last` is the [`last_number`](Self::last_number) from before the confirmed operation began. What was added after
    /// that stays pending: the operation may not have included it.
    pub(crate) fn confirm(&self, invalidation: &Invalidation, last: u64) {
        if !self.has_any() {
            return;
        }
        let mut queue = self.lock();
        match invalidation {
            Invalidation::Key(key) if queue.keys.get(key).is_some_and(|pending| pending.number <= last) => {
                queue.remove(key);
            }
            Invalidation::Key(_) => {}
            Invalidation::Namespace => {
                queue.namespace = queue.namespace.filter(|number| *number > last);
                queue.keys.retain(|_, pending| pending.number > last);
                let Queue { keys, turns, .. } = &mut *queue;
                turns.retain(|_, key| keys.contains_key(key));
            }
        }
        self.confirmations.fetch_add(1, Ordering::AcqRel);
        self.count(&queue);
    }

    /// Returns a number that changes with every confirmation.
    ///
    /// A value that was read while it changed may have been invalidated before, although nothing is pending any more.
    pub(crate) fn confirmations(&self) -> u64 {
        self.confirmations.load(Ordering::Acquire)
    }

    /// Returns the right to retry, if something is pending and no other task has the right.
    pub(crate) fn retrier(&'static self) -> Option<Retrier> {
        let is_free = self.has_any() && !self.has_retrier.swap(true, Ordering::AcqRel);
        // Lazily: dropping a retrier returns the right, which another task may have.
        is_free.then(|| Retrier(self))
    }

    /// Returns the number of pending invalidations, which changes with them.
    pub(super) const fn number(&self) -> &Arc<AtomicUsize> {
        &self.number
    }

    fn count(&self, queue: &Queue) {
        let number = queue.keys.len() + usize::from(queue.namespace.is_some());
        self.number.store(number, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to retry pending invalidations; returned on drop, also when a runtime drops the task that has it.
#[derive(Debug)]
pub(crate) struct Retrier(&'static PendingInvalidations);

impl Drop for Retrier {
    fn drop(&mut self) {
        self.0.has_retrier.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::new("pending", &n).unwrap()
    }

    #[test]
    fn a_pending_key_is_covered_until_it_is_confirmed() {
        let pending = PendingInvalidations::default();
        let invalidations = [1, 2].map(|n| Invalidation::Key(key(n)));
        assert!(!pending.covers(&key(1)) && pending.next().is_empty());
        invalidations.iter().cloned().for_each(|invalidation| pending.add(invalidation));
        assert!(pending.covers(&key(1)) && !pending.covers(&key(3)));
        assert_eq!(pending.next(), invalidations);
        pending.confirm(&invalidations[0], pending.last_number());
        assert!(!pending.covers(&key(1)) && pending.covers(&key(2)));
        assert_eq!(pending.next(), invalidations[1..]);
        pending.add(invalidations[0].clone());
        pending.confirm(&invalidations[1], pending.last_number());
        assert_eq!(pending.next(), invalidations[..1]);
        pending.confirm(&Invalidation::Namespace, pending.last_number());
        assert!(pending.next().is_empty() && pending.lock().turns.is_empty());
    }

    #[test]
    fn a_full_queue_invalidates_the_namespace() {
        let pending = PendingInvalidations::default();
        for n in 0..=MAX_KEYS {
            assert!(!pending.covers_all());
            pending.add(Invalidation::Key(key(n)));
        }
        assert_eq!(pending.next(), [Invalidation::Namespace]);
        assert!(pending.covers_all() && pending.covers(&key(usize::MAX)));
        pending.confirm(&Invalidation::Namespace, pending.last_number());
        assert!(!pending.covers(&key(1)));
    }

    #[test]
    fn what_fails_comes_after_what_was_not_tried_as_often() {
        let pending = PendingInvalidations::default();
        let keys: Vec<_> = (0..=BATCH).map(|n| Invalidation::Key(key(n))).collect();
        keys.iter().cloned().for_each(|invalidation| pending.add(invalidation));
        assert_eq!(pending.next(), keys[..BATCH]);
        keys[..BATCH].iter().for_each(|invalidation| pending.failed(invalidation));
        pending.add(keys[0].clone());
        pending.failed(&keys[0]);
        keys[1..BATCH].iter().for_each(|invalidation| pending.failed(invalidation));
        assert!(pending.has_untried());
        assert_eq!(pending.next()[..3], [&keys[BATCH], &keys[0], &keys[1]].map(Clone::clone));
        pending.failed(&keys[BATCH]);
        assert!(!pending.has_untried());
        let new = Invalidation::Key(key(usize::MAX));
        pending.add(new.clone());
        assert_eq!(pending.next()[..3], [&new, &keys[BATCH], &keys[0]].map(Clone::clone));
        assert_eq!(pending.lock().turns.len(), pending.len());
    }

    #[test]
    fn an_invalidation_added_during_a_retry_stays_pending() {
        let pending = PendingInvalidations::default();
        for invalidation in [Invalidation::Key(key(1)), Invalidation::Namespace] {
            pending.add(Invalidation::Key(key(1)));
            let last = pending.last_number();
            pending.add(Invalidation::Key(key(1)));
            pending.confirm(&invalidation, last);
            assert!(pending.covers(&key(1)));
            pending.confirm(&invalidation, pending.last_number());
            assert!(!pending.covers(&key(1)) && !pending.has_any());
        }
    }

    #[test]
    fn there_is_one_retrier_at_a_time() {
        let pending: &'static PendingInvalidations = Box::leak(Box::default());
        assert!(pending.retrier().is_none(), "nothing is pending");
        pending.add(Invalidation::Namespace);
        let retrier = pending.retrier().unwrap();
        // Twice: a refusal leaves the right with the task that has it.
        assert!(pending.retrier().is_none() && pending.retrier().is_none());
        drop(retrier);
        assert!(pending.retrier().is_some());
    }
}
