//! The reads of several calls as one read.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::shared::value_sizes::ValueSizes;
use crate::util::{BuildIsHash, batch_queue};
use crate::{Key, Result};

/// The keys that one call reads.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) first: Option<Key>,
    pub(crate) common: CommonKeys,
    pub(crate) last: Option<Key>,
    /// The sizes of what is under the first key, if that is a value.
    pub(crate) sizes: Option<&'static ValueSizes>,
}

/// Keys that many calls read.
#[derive(Debug, Clone)]
pub(crate) enum CommonKeys {
    /// The key of the generation of a namespace. Calls of all threads read it, and would contend for a counter of references.
    OfNamespace(&'static [Key]),
    Shared(Arc<[Key]>),
}

impl Deref for CommonKeys {
    type Target = [Key];

    fn deref(&self) -> &[Key] {
        match self {
            Self::OfNamespace(keys) => keys,
            Self::Shared(keys) => keys,
        }
    }
}

impl Wanted {
    pub(super) fn into_keys(self) -> WantedKeys {
        match (self.first, &*self.common, self.last) {
            (Some(first), [common], None) => WantedKeys::Pair([first, common.clone()]),
            (first, common, last) => {
                WantedKeys::Any(first.into_iter().chain(common.iter().cloned()).chain(last).collect())
            }
        }
    }

    /// Returns the size of the largest value that this may read, in bytes, as far as is known.
    pub(super) fn largest_bytes(&self) -> usize {
        self.sizes.map_or(0, ValueSizes::largest)
    }

    /// Returns the size of the value that this reads, in bytes, as far as is known.
    pub(super) fn expected_bytes(&self) -> usize {
        self.sizes.map_or(0, ValueSizes::typical)
    }

    pub(super) fn len(&self) -> usize {
        self.common.len() + usize::from(self.first.is_some()) + usize::from(self.last.is_some())
    }
}

/// The keys that one call reads, in their order.
pub(super) enum WantedKeys {
    /// A value without tags and the generation of its namespace, which most calls read: without an allocation.
    Pair([Key; 2]),
    Any(Vec<Key>),
}

/// A call that waits for its values.
pub(super) type Queued = batch_queue::Queued<Wanted, Values>;

/// The values of the keys of one call, in the order of the keys.
#[derive(Debug)]
pub(crate) enum Values {
    /// Of a call that sent the read itself.
    Own(Vec<Option<Bytes>>),
    /// Those whose positions begin here in a batch.
    OfBatch(Arc<BatchValues>, usize),
}

#[derive(Debug)]
pub(crate) struct BatchValues {
    values: Vec<Option<Bytes>>,
    /// For each key of each call, the index of its value.
    positions: Vec<usize>,
}

impl Values {
    /// Returns the value of the key at this index, which must be one of the call.
    ///
    /// A store that returns too few values counts as having none for the rest.
    pub(crate) fn get(&self, index: usize) -> Option<&Bytes> {
        match self {
            Self::Own(values) => values.get(index)?.as_ref(),
            Self::OfBatch(batch, start) => batch.values.get(*batch.positions.get(start + index)?)?.as_ref(),
        }
    }

    /// Records the size of the first value, or that there is none.
    pub(super) fn record_size(&self, sizes: Option<&ValueSizes>) {
        let Some(sizes) = sizes else { return };
        match self.get(0) {
            Some(value) => sizes.record(value.len()),
            None => sizes.record_absence(),
        }
    }
}

/// The reads of several calls as one.
#[derive(Debug)]
pub(super) struct Batch {
    /// Each key once.
    keys: Vec<Key>,
    positions: Vec<usize>,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    reply: oneshot::Sender<Result<Values>>,
    /// Where its positions begin.
    start: usize,
    sizes: Option<&'static ValueSizes>,
}

impl Batch {
    /// Returns the batch of these calls without those that were dropped; `None` if none is left.
    pub(super) fn of(queued: Vec<Queued>) -> Option<Self> {
        let count = queued.len();
        let mut keys = Keys::with_capacity(count + 1);
        let mut positions = Vec::with_capacity(2 * count);
        let mut calls = Vec::with_capacity(count);
        // The common keys of the call before, which usually are those of this one, and where their positions are.
        let mut before: Option<(CommonKeys, usize)> = None;
        for Queued { operation: Wanted { first, common, last, sizes }, reply, .. } in queued {
            if reply.is_closed() {
                continue;
            }
            calls.push(Call { reply, start: positions.len(), sizes });
            positions.extend(first.map(|key| keys.position(key)));
            let start = positions.len();
            match &before {
                Some((known, at)) if std::ptr::eq(&raw const **known, &raw const *common) => {
                    positions.extend_from_within(*at..at + known.len());
                }
                _ => {
                    positions.extend(common.iter().map(|key| keys.position(key.clone())));
                    before = Some((common, start));
                }
            }
            positions.extend(last.map(|key| keys.position(key)));
        }
        (!calls.is_empty()).then_some(Self { keys: keys.all, positions, calls })
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Sends each call its values, or the error.
    pub(super) fn deliver(self, result: Result<Vec<Option<Bytes>>>) {
        let positions = self.positions;
        let values = result.map(|values| Arc::new(BatchValues { values, positions }));
        for Call { reply, start, sizes } in self.calls {
            let values = values.clone().map(|values| Values::OfBatch(values, start));
            if let Ok(values) = &values {
                values.record_size(sizes);
            }
            let _ = reply.send(values); // Fails if the call was dropped.
        }
    }
}

/// Keys without repetitions, each with its position.
struct Keys {
    all: Vec<Key>,
    /// The position of the first key with each hash.
    positions: HashMap<u64, usize, BuildIsHash>,
}

impl Keys {
    fn with_capacity(count: usize) -> Self {
        let positions = HashMap::with_capacity_and_hasher(count, BuildIsHash::default());
        Self { all: Vec::with_capacity(count), positions }
    }

    /// Returns the position of a key, at the end if it is a new one.
    fn position(&mut self, key: Key) -> usize {
        let next = self.all.len();
        let position = *self.positions.entry(hash_of(&key)).or_insert(next);
        if self.all.get(position) == Some(&key) {
            return position;
        }
        // A new key, or one with the hash of another one, which is then read as often as it occurs.
        self.all.push(key);
        next
    }
}

/// Returns a hash of the end of a key, which is part of a cryptographic digest already.
pub(super) fn hash_of(key: &Key) -> u64 {
    let bytes = key.as_bytes();
    let number = |end: Option<&[u8; 8]>| end.map_or(0, |end| u64::from_ne_bytes(*end));
    let (rest, last) = bytes.split_at(bytes.len().saturating_sub(8));
    // Of a hexadecimal digit, the lower bits vary.
    let mixed = number(rest.last_chunk()).rotate_left(4) ^ number(last.last_chunk());
    let hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        Key::new("batch", &n).unwrap()
    }

    fn queued(first: u64, common: &CommonKeys) -> (Queued, oneshot::Receiver<Result<Values>>) {
        let wanted = Wanted { first: Some(key(first)), common: common.clone(), last: None, sizes: None };
        Queued::new(wanted, 1)
    }

    #[test]
    fn each_call_gets_its_values_and_each_key_is_read_once() {
        let common = [vec![key(100)], vec![key(100), key(101)]].map(|keys| CommonKeys::Shared(keys.into()));
        let calls = [(1, 0), (2, 1), (1, 1), (100, 0)];
        let (queue, mut replies): (Vec<_>, Vec<_>) =
            calls.iter().map(|&(first, of)| queued(first, &common[of])).unzip();
        let batch = Batch::of(queue).unwrap();
        assert_eq!(batch.keys(), [1, 100, 2, 101].map(key));

        let values = ["one", "hundred", "two"].map(|value| Some(Bytes::from(value)));
        batch.deliver(Ok(values.iter().cloned().chain([None]).collect()));
        let mut found = |call: usize| {
            let values = replies[call].try_recv().unwrap().unwrap();
            (0..3).map(|index| values.get(index).cloned()).map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        assert_eq!(found(0)[..2], ["one", "hundred"]);
        assert_eq!(found(1), ["two", "hundred", ""]);
        assert_eq!(found(2), ["one", "hundred", ""]);
        assert_eq!(found(3)[..2], ["hundred", "hundred"]);
    }

    #[test]
    fn dropped_calls_are_not_read_for() {
        let common = CommonKeys::Shared([key(100)].into());
        let ((dropped, reply), (waiting, _reply)) = (queued(1, &common), queued(2, &common));
        drop(reply);
        assert_eq!(Batch::of(vec![dropped, waiting]).unwrap().keys(), [2, 100].map(key));
    }

    #[test]
    fn an_error_reaches_every_call() {
        let common = CommonKeys::OfNamespace(&[]);
        let (queue, replies): (Vec<_>, Vec<_>) = (0..3).map(|n| queued(n, &common)).unzip();
        let error = crate::Error::new(crate::ErrorKind::Timeout, "late");
        Batch::of(queue).unwrap().deliver(Err(error));
        for mut reply in replies {
            assert!(reply.try_recv().unwrap().unwrap_err().is_timeout());
        }
    }
}
