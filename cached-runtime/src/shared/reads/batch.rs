//! The reads of several calls as one read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::util::Moment;
use crate::{Key, Result};

/// The keys that one call reads.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) first: Option<Key>,
    /// Keys that many calls read.
    pub(crate) common: Arc<[Key]>,
    pub(crate) last: Option<Key>,
}

impl Wanted {
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.first.iter().chain(&*self.common).chain(&self.last)
    }

    pub(super) fn len(&self) -> usize {
        self.common.len() + usize::from(self.first.is_some()) + usize::from(self.last.is_some())
    }
}

/// A call that waits for its values.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) wanted: Wanted,
    pub(super) since: Moment,
    pub(super) reply: oneshot::Sender<Result<Values>>,
}

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
}

/// The reads of several calls as one.
#[derive(Debug)]
pub(super) struct Batch {
    /// Each key once.
    keys: Vec<Key>,
    positions: Vec<usize>,
    calls: Vec<Queued>,
}

impl Batch {
    /// Returns the batch of these calls without those that were dropped; `None` if none is left.
    pub(super) fn of(mut calls: Vec<Queued>) -> Option<Self> {
        calls.retain(|call| !call.reply.is_closed());
        let count = calls.len();
        let mut keys = Keys { all: Vec::with_capacity(2 * count), ..Keys::default() };
        let mut positions: Vec<usize> = Vec::with_capacity(2 * count);
        // The common keys of the call before, which usually are those of this one, and where their positions are.
        let mut before: Option<(&Arc<[Key]>, usize)> = None;
        for Queued { wanted, .. } in &calls {
            positions.extend(wanted.first.iter().map(|key| keys.position(key)));
            let start = positions.len();
            match before {
                Some((common, at)) if Arc::ptr_eq(common, &wanted.common) => {
                    positions.extend_from_within(at..at + common.len());
                }
                _ => positions.extend(wanted.common.iter().map(|key| keys.position(key))),
            }
            before = Some((&wanted.common, start));
            positions.extend(wanted.last.iter().map(|key| keys.position(key)));
        }
        (count > 0).then_some(Self { keys: keys.all, positions, calls })
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Sends each call its values, or the error.
    pub(super) fn deliver(self, result: Result<Vec<Option<Bytes>>>) {
        let positions = self.positions;
        let values = result.map(|values| Arc::new(BatchValues { values, positions }));
        let mut start = 0;
        for Queued { wanted, reply, .. } in self.calls {
            let values = values.clone().map(|values| Values::OfBatch(values, start));
            start += wanted.len();
            let _ = reply.send(values); // Fails if the call was dropped.
        }
    }
}

/// Keys without repetitions, each with its position.
#[derive(Default)]
struct Keys {
    all: Vec<Key>,
    positions: HashMap<Key, usize, BuildHasherDefault<KeyHasher>>,
}

impl Keys {
    /// Returns the position of a key, at the end if it is a new one.
    fn position(&mut self, key: &Key) -> usize {
        match self.positions.entry(key.clone()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                self.all.push(key.clone());
                *entry.insert(self.all.len() - 1)
            }
        }
    }
}

/// A hash of the end of a key, which is part of a cryptographic digest already.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        let number = |end: Option<&[u8; 8]>| end.map_or(0, |end| u64::from_ne_bytes(*end));
        let (rest, last) = bytes.split_at(bytes.len().saturating_sub(8));
        let mixed = number(rest.last_chunk()).rotate_left(4) ^ number(last.last_chunk());
        self.0 ^= mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> Key {
        Key::new("batch", &n).unwrap()
    }

    fn queued(first: u64, common: &Arc<[Key]>) -> (Queued, oneshot::Receiver<Result<Values>>) {
        let (reply, receiver) = oneshot::channel();
        let wanted = Wanted { first: Some(key(first)), common: Arc::clone(common), last: None };
        (Queued { wanted, since: Moment::now(), reply }, receiver)
    }

    #[test]
    fn each_call_gets_its_values_and_each_key_is_read_once() {
        let common: [Arc<[Key]>; 2] = [[key(100)].into(), [key(100), key(101)].into()];
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
        let common: Arc<[Key]> = [key(100)].into();
        let ((dropped, reply), (waiting, _reply)) = (queued(1, &common), queued(2, &common));
        drop(reply);
        assert_eq!(Batch::of(vec![dropped, waiting]).unwrap().keys(), [2, 100].map(key));
    }

    #[test]
    fn an_error_reaches_every_call() {
        let common: Arc<[Key]> = [].into();
        let (queue, replies): (Vec<_>, Vec<_>) = (0..3).map(|n| queued(n, &common)).unzip();
        let error = crate::Error::new(crate::ErrorKind::Timeout, "late");
        Batch::of(queue).unwrap().deliver(Err(error));
        for mut reply in replies {
            assert!(reply.try_recv().unwrap().unwrap_err().is_timeout());
        }
    }
}
