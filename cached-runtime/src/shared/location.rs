//! Where a value is in a shared store, and where the stamps are that it depends on.

use std::sync::Arc;

use bytes::Bytes;

use super::envelope;
use super::namespace::Namespace;
use crate::Key;

/// Where a value is, and where the stamps are that it depends on.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    pub(crate) key: Key,
    /// That of the namespace first; for a function with tags those of all tags and of each tag after it.
    pub(crate) stamps: Arc<[Key]>,
    /// Where a value of another type is that this one lies beside; the mark of that is the last of the stamps then.
    pub(crate) beside: Option<Key>,
    pub(crate) tags: Tags,
}

impl Location {
    /// The keys of all that it depends on.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &Key> {
        self.stamps.iter().chain(&self.beside)
    }

    /// What was found under these keys as stamps.
    pub(crate) fn stamps_in(&self, found: &[Option<Bytes>]) -> Box<[Option<u64>]> {
        // A store that returns too little has not got them.
        let found = |index: usize| found.get(index)?.as_ref();
        let stamps = (0..self.stamps.len()).map(|index| stamp_from(found(index)?));
        let beside = self.beside.iter().map(|_| envelope::mark(found(self.stamps.len())?));
        stamps.chain(beside).collect()
    }
}

/// What there is to know about the tags of a function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tags {
    /// It has none.
    None,
    /// The remote of the tags in its store.
    Of(&'static Namespace),
    /// The same, and there are tags that only the value tells.
    FromValue(&'static Namespace),
}

impl Tags {
    pub(crate) fn remote(self) -> Option<&'static Namespace> {
        match self {
            Self::None => None,
            Self::Of(remote) | Self::FromValue(remote) => Some(remote),
        }
    }

    /// Whether the store has not heard yet that one of these has ended.
    pub(crate) fn are_owed<'a>(self, tags: impl IntoIterator<Item = &'a Key>) -> bool {
        self.remote().is_some_and(|remote| {
            let is_owed = |tag: &Key| remote.owed.covers(tag) || *tag == remote.mark_key();
            remote.owed.is_any() && tags.into_iter().any(is_owed)
        })
    }
}

pub(crate) fn stamp_from(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
