//! Where a value and the generations it depends on are in a shared store.

use std::borrow::Borrow;

use bytes::Bytes;

use super::envelope;
use super::generation::Generation;
use super::generations::FoundGenerations;
use super::namespace::Namespace;
use super::reads::{CommonKeys, Wanted};
use crate::Key;

/// The keys of a value and of everything that decides whether it is current.
///
/// A value usually is at its *primary* location, under the key of the function's arguments. When a program with another
/// type of the value uses that location, as during a deploy, this program stores its own value at an *alternate*
/// location: under a key derived from the primary key, the codec and the type. An alternate value depends on the
/// checksum of the primary value it was stored next to, so whatever ends that one ends the alternate value too.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    pub(crate) key: Key,
    /// The keys of the generations: of the namespace and, for a function with tags, of all tags and of each static tag.
    pub(crate) generation_keys: CommonKeys,
    /// At an alternate location, the primary key; the checksum of its value is the last dependency.
    pub(crate) primary: Option<Key>,
    pub(crate) tags: Tags,
}

impl Location {
    /// Returns the keys of everything the value depends on.
    pub(crate) fn dependency_keys(&self) -> impl Iterator<Item = &Key> {
        self.generation_keys.iter().chain(&self.primary)
    }

    /// Returns the keys that a read of the location asks for: of the value, then the
    /// [`dependency_keys`](Self::dependency_keys).
    pub(crate) fn wanted(&self) -> Wanted {
        let (first, last) = (Some(self.key.clone()), self.primary.clone());
        Wanted { first, common: self.generation_keys.clone(), last, sizes: None }
    }

    /// Returns the generations in what the store returned for each of the [`dependency_keys`](Self::dependency_keys).
    pub(crate) fn generations_in<'a>(&self, found: impl Fn(usize) -> Option<&'a Bytes>) -> FoundGenerations {
        let generation = |index: usize| Generation::from_bytes(found(index)?);
        let count = self.generation_keys.len();
        if count == 1 && self.primary.is_none() {
            return FoundGenerations::One(generation(0));
        }
        let primary = self.primary.iter().map(|_| Some(Generation::new(envelope::checksum(found(count)?)?)));
        FoundGenerations::Many((0..count).map(generation).chain(primary).collect())
    }
}

/// Which tags the values of a function have, with the namespace of the tags in the function's store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tags {
    None,
    /// Static tags only: they are computed from the arguments.
    Static(&'static Namespace),
    /// Derived tags, which are computed from the value, and possibly static tags.
    Derived(&'static Namespace),
}

impl Tags {
    /// Returns the namespace of the tags, if there are any.
    pub(crate) fn namespace(self) -> Option<&'static Namespace> {
        match self {
            Self::None => None,
            Self::Static(namespace) | Self::Derived(namespace) => Some(namespace),
        }
    }

    /// Returns `true` if the store has not confirmed yet that one of these tags was invalidated.
    ///
    /// Any pending invalidation counts for a value that has the epoch of all tags for its derived tag.
    pub(crate) fn has_pending_invalidation(
        self,
        tag_keys: impl IntoIterator<Item = impl Borrow<Key>>,
    ) -> bool {
        self.namespace().is_some_and(|namespace| {
            let is_pending = |key: &Key| namespace.state.pending.covers(key) || *key == namespace.epoch_key();
            namespace.state.pending.has_any() && tag_keys.into_iter().any(|key| is_pending(key.borrow()))
        })
    }
}
