//! What a value in a shared store depends on: the stamps of its namespace and of its tags.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::envelope;
use super::namespace::{Loaded, Namespace, new_stamp};
use crate::memory::DerivedTags;
use crate::util::random::random;
use crate::{Error, ErrorKind, Key, Result};

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

impl Location {
    /// The keys of all that it depends on.
    fn dependencies(&self) -> impl Iterator<Item = &Key> {
        self.stamps.iter().chain(&self.beside)
    }

    /// What was found under these keys as stamps.
    fn stamps_in(&self, found: &[Option<Bytes>]) -> Box<[Option<u64>]> {
        // A store that returns too little has not got them.
        let found = |index: usize| found.get(index)?.as_ref();
        let stamps = (0..self.stamps.len()).map(|index| stamp_from(found(index)?));
        let beside = self.beside.iter().map(|_| envelope::mark(found(self.stamps.len())?));
        stamps.chain(beside).collect()
    }
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

/// How many stamps of namespaces come before those of tags.
const NAMESPACES: usize = 2;

/// How long the stamp of a tag stays in a store. When it goes, the values with that tag are computed once more.
const STAMP_TERM: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Namespace {
    /// What is under a key, and the stamps that it depends on, in one round trip; those of tags that are named in the
    /// value take another.
    pub(crate) async fn load(&'static self, place: &Location) -> Result<Loaded> {
        let keys: Vec<Key> = std::iter::once(&place.key).chain(place.dependencies()).cloned().collect();
        let found = self.bounded(|store| store.get(&keys)).await?;
        self.see_to_debts();
        if let Some(tags) = place.tags.remote() {
            tags.see_to_debts();
        }
        let stamps = place.stamps_in(found.get(1..).unwrap_or_default());
        let value = found.into_iter().next().flatten();
        let named = match value.as_deref().map(envelope::named) {
            Some(named) if !named.is_empty() => self.read_stamps(&named).await?,
            Some(_) | None => Box::default(),
        };
        Ok(Loaded { value, stamps, named })
    }

    /// The stamps under these keys, where there are any.
    async fn read_stamps(&self, keys: &[Key]) -> Result<Box<[Option<u64>]>> {
        let found = self.bounded(|store| store.get(keys)).await?;
        Ok(found.iter().map(|stamp| stamp_from(stamp.as_ref()?)).collect())
    }

    /// The stamps that a place depends on, where there are any.
    async fn dependencies(&self, place: &Location) -> Result<Box<[Option<u64>]>> {
        let keys: Vec<Key> = place.dependencies().cloned().collect();
        Ok(place.stamps_in(&self.bounded(|store| store.get(&keys)).await?))
    }

    /// The stamps of a place, made now where there are none.
    pub(crate) async fn stamps(
        &self,
        place: &Location,
        seen: Option<Box<[Option<u64>]>>,
    ) -> Result<Box<[u64]>> {
        let seen = match seen {
            Some(seen) => seen,
            // To make one is to read it.
            None if place.stamps.len() == 1 && place.beside.is_none() => [None].into(),
            None => self.dependencies(place).await?,
        };
        let mut stamps = Vec::with_capacity(seen.len());
        for (index, (key, seen)) in place.dependencies().zip(seen).enumerate() {
            stamps.push(match seen {
                Some(stamp) => stamp,
                // What it lies beside has gone meanwhile: then nothing will find it.
                None if index == place.stamps.len() => random(),
                None => self.make_stamp(key, (index >= NAMESPACES).then_some(STAMP_TERM)).await?,
            });
        }
        Ok(stamps.into())
    }

    /// The stamp under a key, made now if there is none.
    pub(crate) async fn make_stamp(&self, key: &Key, term: Option<Duration>) -> Result<u64> {
        let stamp = self.bounded(|store| store.add(key, new_stamp(), term)).await?;
        if let Some(stamp) = stamp_from(&stamp) {
            return Ok(stamp);
        }
        // Something else was written there; what it protected is gone with it.
        let stamp = new_stamp();
        self.bounded(|store| store.put(key, stamp.clone(), term)).await?;
        stamp_from(&stamp).ok_or(Error::new(ErrorKind::Protocol, "a stamp is not one"))
    }

    /// Whether the stamps of a place are still these, as far as the store tells.
    pub(crate) async fn are_current(&self, place: &Location, stamps: &[u64]) -> bool {
        let current = self.dependencies(place).await;
        current.is_ok_and(|current| current.iter().copied().eq(stamps.iter().map(|stamp| Some(*stamp))))
    }

    /// The stamps of these tags, made now where there are none.
    pub(crate) async fn name(&self, tags: &[Key]) -> Result<Vec<(Key, u64)>> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let mut named = Vec::with_capacity(tags.len());
        for (tag, stamp) in tags.iter().zip(self.read_stamps(tags).await?) {
            let stamp = match stamp {
                Some(stamp) => stamp,
                None => self.make_stamp(tag, Some(STAMP_TERM)).await?,
            };
            named.push((tag.clone(), stamp));
        }
        Ok(named)
    }

    /// As long as this does not change, no tag is invalidated.
    pub(crate) async fn mark(&self) -> Result<u64> {
        self.make_stamp(&self.mark_key(), None).await
    }

    /// Where the stamps of these tags are.
    pub(crate) fn told_keys(&self, told: &DerivedTags) -> Vec<Key> {
        match told {
            DerivedTags::Known(tags) => tags.iter().map(|tag| self.tag_key(tag)).collect(),
            DerivedTags::Any => vec![self.mark_key()],
        }
    }
}

fn stamp_from(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
