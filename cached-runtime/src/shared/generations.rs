//! What a value in a shared store depends on: the stamps of its namespace and of its tags.

use std::time::Duration;

use bytes::Bytes;

use super::envelope;
use super::location::{Location, stamp_from};
use super::namespace::{Loaded, Namespace};
use crate::memory::DerivedTags;
use crate::util::random::random;
use crate::{Error, ErrorKind, Key, Result};

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

    /// It lies where a tag lies that nobody can name, so that a value can have it for its tag.
    pub(crate) fn mark_key(&self) -> Key {
        Key::of_tag(Key::from_bytes(&format!("{}.all", self.namespace), &[]).digest())
    }

    /// Where the stamp of a tag is.
    pub(crate) fn tag_key(&self, tag: &str) -> Key {
        Key::from_bytes(&self.namespace, tag.as_bytes())
    }
}

/// A number that no other has: two clears must not make one stamp.
pub(crate) fn new_stamp() -> Bytes {
    Bytes::copy_from_slice(&random().to_be_bytes())
}
