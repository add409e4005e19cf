//! Invalidations that the store could not be told, until it is.
//!
//! Who asked for one has got an `Err`. It is repeated until the store has confirmed it; until then this process takes
//! no value of that key from the store. The list is bounded: what does not fit makes the whole namespace stale.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Key;

/// What one namespace has not been told.
#[derive(Debug, Default)]
pub(crate) struct PendingInvalidations {
    /// Whether there is anything, so that a call need not take the lock to see that there is nothing.
    any: AtomicBool,
    /// Whether a task is at it.
    being_paid: AtomicBool,
    /// How many debts there have been in all.
    added: AtomicU64,
    /// How often one was paid.
    payments: AtomicU64,
    debts: Mutex<Debts>,
}

#[derive(Debug, Default)]
struct Debts {
    /// Each with its number among all that were ever added.
    keys: HashMap<Key, u64>,
    /// The whole namespace; then no single key matters.
    all: Option<u64>,
}

/// One invalidation to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Invalidation {
    Key(Key),
    All,
}

/// How many keys are remembered one by one.
const MOST_KEYS: usize = 1_024;

/// Between two attempts; grows from one to the other.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl PendingInvalidations {
    pub(crate) fn add(&self, debt: Invalidation) {
        let mut debts = self.debts();
        let number = self.added.fetch_add(1, Ordering::AcqRel) + 1;
        match debt {
            Invalidation::Key(key) if debts.all.is_none() && debts.keys.len() < MOST_KEYS => {
                debts.keys.insert(key, number);
            }
            Invalidation::Key(_) | Invalidation::All => {
                debts.all = Some(number);
                debts.keys = HashMap::new();
            }
        }
        self.any.store(true, Ordering::Release);
    }

    /// Whether the store may still hold a value of this key that was invalidated.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.is_any() && {
            let debts = self.debts();
            debts.all.is_some() || debts.keys.contains_key(key)
        }
    }

    /// Whether anything is owed.
    pub(crate) fn is_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Something that is still owed.
    pub(crate) fn next(&self) -> Option<Invalidation> {
        if !self.is_any() {
            return None;
        }
        let debts = self.debts();
        if debts.all.is_some() {
            Some(Invalidation::All)
        } else {
            debts.keys.keys().next().cloned().map(Invalidation::Key)
        }
    }

    /// The number of the last debt: to be asked for before an invalidation that may pay for those up to it.
    pub(crate) fn last(&self) -> u64 {
        self.added.load(Ordering::Acquire)
    }

    /// The store has confirmed an invalidation that was begun when `last` was the last debt. What was added since may be
    /// owed for something later.
    pub(crate) fn paid(&self, debt: &Invalidation, last: u64) {
        if !self.is_any() {
            return;
        }
        let mut debts = self.debts();
        match debt {
            Invalidation::Key(key) if debts.keys.get(key).is_some_and(|number| *number <= last) => {
                debts.keys.remove(key);
            }
            Invalidation::Key(_) => {}
            Invalidation::All => {
                debts.all = debts.all.filter(|number| *number > last);
                debts.keys.retain(|_, number| *number > last);
            }
        }
        self.payments.fetch_add(1, Ordering::AcqRel);
        self.any.store(debts.all.is_some() || !debts.keys.is_empty(), Ordering::Release);
    }

    /// Changes when something is paid: who read the store meanwhile may have what was owed then.
    pub(crate) fn payments(&self) -> u64 {
        self.payments.load(Ordering::Acquire)
    }

    /// The right to repeat them, if there are any and nobody else is at it.
    pub(crate) fn payer(&'static self) -> Option<Payer> {
        let free = self.is_any() && !self.being_paid.swap(true, Ordering::AcqRel);
        free.then_some(Payer(self))
    }

    fn debts(&self) -> MutexGuard<'_, Debts> {
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever repeats what is owed; gives the right back also when its runtime ends.
#[derive(Debug)]
pub(crate) struct Payer(&'static PendingInvalidations);

impl Drop for Payer {
    fn drop(&mut self) {
        self.0.being_paid.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::new("owed", &n).unwrap()
    }

    #[test]
    fn what_is_owed_is_covered_until_it_is_paid() {
        let owed = PendingInvalidations::default();
        assert!(!owed.covers(&key(1)) && owed.next().is_none());
        owed.add(Invalidation::Key(key(1)));
        assert!(owed.covers(&key(1)) && !owed.covers(&key(2)));
        let debt = owed.next().unwrap();
        owed.paid(&debt, owed.last());
        assert!(!owed.covers(&key(1)) && owed.next().is_none());
    }

    #[test]
    fn what_can_not_be_remembered_makes_the_namespace_stale() {
        let owed = PendingInvalidations::default();
        (0..=MOST_KEYS).for_each(|n| owed.add(Invalidation::Key(key(n))));
        assert_eq!(owed.next(), Some(Invalidation::All));
        assert!(owed.covers(&key(usize::MAX)));
        owed.paid(&Invalidation::All, owed.last());
        assert!(!owed.covers(&key(1)));
    }

    #[test]
    fn what_comes_to_be_owed_meanwhile_is_not_paid_with_the_rest() {
        let owed = PendingInvalidations::default();
        for debt in [Invalidation::Key(key(1)), Invalidation::All] {
            owed.add(Invalidation::Key(key(1)));
            let last = owed.last();
            owed.add(Invalidation::Key(key(1)));
            owed.paid(&debt, last);
            assert!(owed.covers(&key(1)));
            owed.paid(&debt, owed.last());
            assert!(!owed.covers(&key(1)) && !owed.is_any());
        }
    }

    #[test]
    fn one_at_a_time_repeats() {
        let owed: &'static PendingInvalidations = Box::leak(Box::default());
        assert!(owed.payer().is_none(), "nothing is owed");
        owed.add(Invalidation::All);
        let payer = owed.payer().unwrap();
        assert!(owed.payer().is_none());
        drop(payer);
        assert!(owed.payer().is_some());
    }
}
