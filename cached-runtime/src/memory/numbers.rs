//! The table of a function from a number to a number.

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Options, UnitWeighter};

use crate::util::Moment;

/// Values by key, both of which are numbers, as words.
///
/// Everything is in the table itself, with no pointer and no allocation of its own: numbers have no user code that could
/// run under its locks. It is not generic, and so compiled once for all functions.
pub(super) struct Numbers(Cache<u64, Number, UnitWeighter, DefaultHashBuilder, EvictionCounter>);

/// A value with its lifetime.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    pub(super) value: u64,
    pub(super) stored_at: Moment,
    pub(super) fresh_until: Moment,
}

impl Numbers {
    pub(super) fn new(options: Options) -> Self {
        Self(Cache::with_options(options, UnitWeighter, DefaultHashBuilder::default(), EvictionCounter))
    }

    /// Returns the value of a key, if it is fresh.
    #[inline]
    pub(super) fn fresh(&self, key: u64) -> Option<u64> {
        self.get(key).filter(|number| !number.fresh_until.has_passed()).map(|number| number.value)
    }

    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<Number> {
        self.0.get(&key)
    }

    /// Inserts a value, and returns how many others were evicted for it.
    pub(super) fn insert(&self, key: u64, number: Number) -> u64 {
        let mut evictions = Evictions { inserted: key, count: 0 };
        self.0.insert_with_lifecycle(key, number, &mut evictions);
        evictions.count
    }

    pub(super) fn remove(&self, key: u64) {
        self.0.remove(&key);
    }

    /// Ends the lifetime of a value now; returns its new end, if there is a value.
    pub(super) fn expire(&self, key: u64) -> Option<Moment> {
        let number = self.0.peek(&key)?;
        let fresh_until = number.fresh_until.min(Moment::now());
        // A value that was evicted meanwhile stays evicted.
        let _ = self.0.replace(key, Number { fresh_until, ..number }, true);
        Some(fresh_until)
    }

    /// Removes the value of a key if it was fresh until a time for which `is_expired` returns `true`.
    pub(super) fn remove_expired(&self, key: u64, is_expired: impl Fn(Moment) -> bool) {
        self.0.remove_if(&key, |number| is_expired(number.fresh_until));
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Iterates over all keys, with the time until which their values are fresh.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Moment)> + Send {
        self.0.iter().map(|(key, number)| (key, number.fresh_until))
    }
}

/// Counts what an insertion evicts.
#[derive(Clone)]
struct EvictionCounter;

#[derive(Default)]
struct Evictions {
    inserted: u64,
    count: u64,
}

impl Lifecycle<u64, Number> for EvictionCounter {
    type RequestState = Evictions;

    fn on_evict(&self, evictions: &mut Self::RequestState, key: u64, _: Number) {
        // The entry that was replaced is reported too.
        evictions.count += u64::from(key != evictions.inserted);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quick_cache::OptionsBuilder;

    use super::*;

    fn numbers(capacity: u64) -> Numbers {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(8)
            .weight_capacity(capacity)
            .build()
            .expect("both capacities are set");
        Numbers::new(options)
    }

    fn number(value: u64) -> Number {
        let stored_at = Moment::now();
        Number { value, stored_at, fresh_until: stored_at.after(Duration::from_secs(60)) }
    }

    #[test]
    fn replaced_value_is_not_counted_as_evicted() {
        let numbers = numbers(2);
        assert_eq!(numbers.insert(1, number(1)) + numbers.insert(1, number(2)), 0);
        assert_eq!((numbers.fresh(1), numbers.len()), (Some(2), 1));
        let evictions: u64 = (2..10).map(|key| numbers.insert(key, number(key))).sum();
        assert_eq!((evictions, numbers.len()), (7, 2));
    }

    #[test]
    fn expired_value_stays_but_is_not_fresh() {
        let numbers = numbers(8);
        numbers.insert(1, number(1));
        assert!(numbers.expire(1).is_some() && numbers.expire(2).is_none());
        assert_eq!((numbers.fresh(1), numbers.len()), (None, 1));
        numbers.remove_expired(1, |_| false);
        assert_eq!(numbers.len(), 1);
        numbers.remove_expired(1, Moment::has_passed);
        assert_eq!(numbers.len(), 0);
    }
}
