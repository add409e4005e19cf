//! Invalidations that the store could not be told, until it is.
//!
//! Who asked for one has got an `Err`. It is repeated until the store has confirmed it; until then this process takes
//! no value of that key from the store. The list is bounded: what does not fit makes the whole namespace stale.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Key;

/// What one namespace has not been told.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// Whether there is anything, so that a call need not take the lock to see that there is nothing.
    any: AtomicBool,
    /// Whether a task is at it.
    being_paid: AtomicBool,
    debts: Mutex<Debts>,
}

#[derive(Debug, Default)]
struct Debts {
    keys: HashSet<Key>,
    /// The whole namespace; then no single key matters.
    all: bool,
}

/// One invalidation to repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Debt {
    Key(Key),
    All,
}

/// How many keys are remembered one by one.
const MOST_KEYS: usize = 1_024;

/// Between two attempts; grows from one to the other.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Owed {
    pub(crate) fn add(&self, debt: Debt) {
        let mut debts = self.debts();
        match debt {
            Debt::Key(key) if !debts.all && debts.keys.len() < MOST_KEYS => {
                debts.keys.insert(key);
            }
            Debt::Key(_) | Debt::All => {
                debts.all = true;
                debts.keys = HashSet::new();
            }
        }
        self.any.store(true, Ordering::Release);
    }

    /// Whether the store may still hold a value of this key that was invalidated.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.is_any() && {
            let debts = self.debts();
            debts.all || debts.keys.contains(key)
        }
    }

    /// Whether anything is owed.
    pub(crate) fn is_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Something that is still owed.
    pub(crate) fn next(&self) -> Option<Debt> {
        if !self.is_any() {
            return None;
        }
        let debts = self.debts();
        if debts.all { Some(Debt::All) } else { debts.keys.iter().next().cloned().map(Debt::Key) }
    }

    /// The store has confirmed it.
    pub(crate) fn paid(&self, debt: &Debt) {
        let mut debts = self.debts();
        match debt {
            Debt::Key(key) => {
                debts.keys.remove(key);
            }
            Debt::All => *debts = Debts::default(),
        }
        self.any.store(debts.all || !debts.keys.is_empty(), Ordering::Release);
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
pub(crate) struct Payer(&'static Owed);

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
        let owed = Owed::default();
        assert!(!owed.covers(&key(1)) && owed.next().is_none());
        owed.add(Debt::Key(key(1)));
        assert!(owed.covers(&key(1)) && !owed.covers(&key(2)));
        let debt = owed.next().unwrap();
        owed.paid(&debt);
        assert!(!owed.covers(&key(1)) && owed.next().is_none());
    }

    #[test]
    fn what_can_not_be_remembered_makes_the_namespace_stale() {
        let owed = Owed::default();
        (0..=MOST_KEYS).for_each(|n| owed.add(Debt::Key(key(n))));
        assert_eq!(owed.next(), Some(Debt::All));
        assert!(owed.covers(&key(usize::MAX)));
        owed.paid(&Debt::All);
        assert!(!owed.covers(&key(1)));
    }

    #[test]
    fn one_at_a_time_repeats() {
        let owed: &'static Owed = Box::leak(Box::default());
        assert!(owed.payer().is_none(), "nothing is owed");
        owed.add(Debt::All);
        let payer = owed.payer().unwrap();
        assert!(owed.payer().is_none());
        drop(payer);
        assert!(owed.payer().is_some());
    }
}
