//! Which of the reads that wait are sent together.

use std::collections::{HashSet, VecDeque};

use super::batch::hash_of;
use super::{Queued, Wanted};
use crate::Key;
use crate::util::BuildIsHash;
use crate::util::batch_queue::QueueLimits;

/// The costs are numbers of keys.
pub(super) const LIMITS: QueueLimits = QueueLimits { singles: 2, batch_tasks: 4, queued: 200_000 };
/// The maximum number of keys of a batch.
const MAX_BATCH_KEYS: usize = 1_024;
/// The size of the values of a batch, in bytes, if they have the size of the last ones: the server does nothing else meanwhile.
pub(in crate::shared) const MAX_BATCH_BYTES: usize = 1 << 20;
/// If at most so many keys fit into a batch, it answers all calls that want one of them, as far as they are found in the queue.
const MAX_SEARCHED_KEYS: usize = 256;
/// How many calls of the queue are searched for those that want one of these keys, at least; more if the values are large, of
/// which a second transfer costs more than the search.
const MAX_SEARCHED: usize = 8_192;

/// Returns how many keys like these a batch may have.
pub(super) fn max_batch_keys(wanted: &Wanted) -> usize {
    (MAX_BATCH_BYTES / wanted.expected_bytes().max(1)).clamp(1, MAX_BATCH_KEYS)
}

/// Returns for how many keys in the queue a read of keys like these begins another batch at the same time. While the sizes of their
/// values are not known, it begins none: all batches that are on their way share the deadline.
pub(super) fn keys_for_another_batch(wanted: &Wanted) -> usize {
    let max_keys = max_batch_keys(wanted);
    let is_known = wanted.largest_bytes() > 0 || max_keys == MAX_BATCH_KEYS;
    if is_known { max_keys } else { usize::MAX }
}

/// Takes the reads of one batch from the queue.
pub(super) fn take(queue: &mut VecDeque<Queued>) -> Vec<Queued> {
    let first = queue.front().map(|first| &first.operation);
    let max_keys = first.map_or(1, max_batch_keys);
    let is_known = first.is_some_and(|wanted| wanted.largest_bytes() > 0);
    if max_keys <= MAX_SEARCHED_KEYS && is_known {
        let expected_bytes = first.map_or(0, Wanted::expected_bytes);
        return take_calls_of_keys(queue, max_keys, MAX_SEARCHED.max(expected_bytes / 2));
    }
    let count = count_within(queue);
    queue.drain(..count).collect()
}

/// Takes the calls that want one of the first different keys of the queue, as many as fit into a batch. The search for them costs
/// less than a second transfer of a value.
fn take_calls_of_keys(queue: &mut VecDeque<Queued>, max_keys: usize, max_searched: usize) -> Vec<Queued> {
    let mut keys = HashSet::with_hasher(BuildIsHash::default());
    let mut bytes = 0;
    let mut taken = Vec::new();
    let mut left = Vec::new();
    for queued in queue.drain(..queue.len().min(max_searched)) {
        let key = queued.operation.first.as_ref().map(hash_of);
        let is_known = key.is_some_and(|key| keys.contains(&key));
        if !is_known {
            let with_this = bytes + queued.operation.expected_bytes();
            if !taken.is_empty() && (keys.len() >= max_keys || with_this > MAX_BATCH_BYTES) {
                left.push(queued);
                continue;
            }
            bytes = with_this;
            keys.extend(key);
        }
        taken.push(queued);
    }
    // In the order in which they came, before those that came later.
    left.into_iter().rev().for_each(|queued| queue.push_front(queued));
    taken
}

/// Returns how many of the first calls fit into a batch; at least 1.
fn count_within(queue: &VecDeque<Queued>) -> usize {
    let (mut keys, mut bytes) = (0, 0);
    let mut large = HashSet::with_hasher(BuildIsHash::default());
    let mut common: &[Key] = &[];
    for (index, Queued { operation: wanted, .. }) in queue.iter().enumerate() {
        keys += wanted.len();
        let expected = wanted.expected_bytes();
        // A batch reads each key once. Of small values, the number of keys is the bound.
        let is_known = expected > MAX_BATCH_BYTES / MAX_BATCH_KEYS
            && wanted.first.as_ref().is_some_and(|key| !large.insert(hash_of(key)));
        bytes += if is_known { 0 } else { expected };
        // Calls of one function read the same generations, which a batch reads once.
        if std::ptr::eq(common, &raw const *wanted.common) {
            keys -= wanted.common.len();
        }
        common = &wanted.common;
        if keys > MAX_BATCH_KEYS || bytes > MAX_BATCH_BYTES {
            return index.max(1);
        }
    }
    queue.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::reads::CommonKeys;
    use crate::shared::value_sizes::ValueSizes;

    fn queued(name: usize, sizes: Option<&'static ValueSizes>) -> Queued {
        let first = Some(Key::from_bytes("queue", &name.to_be_bytes()));
        Queued::new(Wanted { first, common: CommonKeys::OfNamespace(&[]), last: None, sizes }, 1).0
    }

    #[test]
    fn all_calls_that_want_a_large_value_are_taken_with_the_first() {
        let mut queue: VecDeque<_> = [1, 2, 1, 3, 2, 1].map(|name| queued(name, None)).into();
        for (max_keys, count) in [(1, 3), (2, 3)] {
            assert_eq!(take_calls_of_keys(&mut queue, max_keys, MAX_SEARCHED).len(), count);
        }
        assert!(queue.is_empty());
    }

    /// Else each of a thousand keys of 20 KB would be sent again for every 50 calls of a burst.
    #[test]
    fn calls_of_medium_values_are_answered_by_one_transfer() {
        let sizes: &'static ValueSizes = Box::leak(Box::default());
        sizes.record(20 << 10);
        let mut queue: VecDeque<_> = (0..2_000).map(|name| queued(name % 100, Some(sizes))).collect();
        assert_eq!(take(&mut queue).len(), 51 * 20, "51 keys fit into a batch");
        let next = queue.front().unwrap().operation.first.clone();
        assert_eq!(next, queued(51, None).operation.first, "the others stay in their order");
        assert_eq!(take(&mut queue).len(), 49 * 20);

        queue.extend((0..2 * MAX_SEARCHED).map(|_| queued(0, Some(sizes))));
        assert_eq!(take(&mut queue).len(), 10 << 10, "the search is bounded");
    }

    #[test]
    fn a_batch_is_bounded_by_the_sizes_of_the_values() {
        let sizes: &'static ValueSizes = Box::leak(Box::default());
        let mut queue: VecDeque<_> = (0..2_000).map(|name| queued(name, Some(sizes))).collect();
        assert_eq!(take(&mut queue).len(), 16, "the sizes are not known yet");
        let mut same: VecDeque<_> = (0..500).map(|name| queued(name % 2, Some(sizes))).collect();
        assert_eq!(take(&mut same).len(), 500, "they want two keys");
        sizes.record(100);
        assert_eq!(take(&mut queue).len(), MAX_BATCH_KEYS);
        sizes.record(30 << 10);
        assert_eq!(take(&mut queue).len(), 34);
        sizes.record(200 << 10);
        assert_eq!(take(&mut queue).len(), 5);
        sizes.record(60 << 20);
        assert_eq!(take(&mut queue).len(), 1);
        queue.push_front(queued(0, None));
        assert_eq!(take(&mut queue).len(), 1, "those behind a small one are large");
        let medium: &'static ValueSizes = Box::leak(Box::default());
        medium.record(100 << 10);
        queue.push_front(queued(0, Some(medium)));
        assert_eq!(take(&mut queue).len(), 1, "those behind a medium one are large");
    }
}
