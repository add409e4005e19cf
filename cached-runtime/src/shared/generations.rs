//! Generations: the random numbers that decide whether a stored value is current.
//!
//! A namespace has a generation, each tag has one, and all tags together have one. A value is stored with the
//! generations that were read before it was computed, and is current while the store still has the same ones. So a
//! clear or the invalidation of a tag is one write, however many values it ends. A generation that the store has lost
//! makes the values with it stale.
//!
//! The *epoch* of all tags is a number that every invalidation of a tag replaces first. Derived tags are known only
//! after the computation, so their generations cannot be read before it; a value with derived tags is stored only if
//! the epoch did not change while it was computed.

use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::envelope;
use super::generation::Generation;
use super::location::Location;
use super::namespace::{Namespace, SizeQuestion, within};
use super::observed_store::Operation;
use super::reads::{CommonKeys, Reading, Values, Wanted};
use crate::memory::DerivedTags;
use crate::util::random;
use crate::util::timer::timeout;
use crate::{Error, Key, Result};

/// What a store has at a location.
#[derive(Debug)]
pub(crate) struct ReadResult {
    /// The first one is the value.
    values: Values,
    /// The generations at the location's dependency keys.
    pub(crate) generations: FoundGenerations,
    /// The generations of the derived tags that are listed in the value.
    pub(crate) derived_generations: Box<[Option<Generation>]>,
}

impl ReadResult {
    pub(super) fn value(&self) -> Option<&Bytes> {
        self.values.get(0)
    }

    /// Returns `true` if there is a value that lists derived tags.
    pub(super) fn has_derived_tags(&self) -> bool {
        self.value().is_some_and(|value| envelope::has_derived_tags(value))
    }
}

/// Generations as they were found. Usually there is one, which needs no allocation.
#[derive(Debug, Clone)]
pub(crate) enum FoundGenerations {
    One(Option<Generation>),
    Many(Box<[Option<Generation>]>),
}

impl FoundGenerations {
    pub(crate) fn into_boxed(self) -> Box<[Option<Generation>]> {
        match self {
            Self::One(generation) => Box::new([generation]),
            Self::Many(generations) => generations,
        }
    }
}

impl Deref for FoundGenerations {
    type Target = [Option<Generation>];

    fn deref(&self) -> &[Option<Generation>] {
        match self {
            Self::One(generation) => std::slice::from_ref(generation),
            Self::Many(generations) => generations,
        }
    }
}

/// How many generations of namespaces precede those of tags in a location: of the function, and of all tags.
pub(super) const NAMESPACE_GENERATIONS: usize = 2;

/// How many of the calls whose reads have missed their deadline at the same time ask for the size of their value.
const MAX_QUESTIONS: usize = 8;
/// How long a call waits for the questions of others.
const MAX_QUESTION_TIME: Duration = Duration::from_secs(1);

/// How long the generation of a tag stays in a store. When it expires, the values with that tag are computed once more.
pub(super) const TAG_GENERATION_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Namespace {
    /// Reads a value and the generations it depends on in one round trip; the generations of derived tags take a
    /// second one.
    pub(super) async fn read(&'static self, location: &Location) -> Result<ReadResult> {
        let found = self.read_however_large(location).await?;
        self.read_derived(found).await
    }

    /// As [`read`](Self::read), without the generations of derived tags.
    pub(super) async fn read_however_large(&'static self, location: &Location) -> Result<ReadResult> {
        let expected_bytes = self.sizes.expected();
        match self.begin_read(location)?.await {
            Err(error) if error.is_timeout() => {
                self.read_again_if_large(location, expected_bytes, error).await
            }
            found => self.end_read(location, found),
        }
    }

    /// Reads a value again after a read that missed its deadline, if the value is larger than was known then; otherwise that read has
    /// failed with this error.
    pub(super) async fn read_again_if_large(
        &'static self,
        location: &Location,
        expected_bytes: usize,
        error: Error,
    ) -> Result<ReadResult> {
        let is_large = self.has_large(&location.key, expected_bytes).await;
        let found = if is_large { self.begin_read(location)?.await } else { Err(error) };
        self.end_read(location, found)
    }

    /// Begins to read a value and the generations it depends on, in one round trip; [`end_read`](Self::end_read) takes the
    /// result.
    pub(super) fn begin_read(&'static self, location: &Location) -> Result<Reading> {
        Ok(self.reads()?.begin(Wanted { sizes: Some(&self.sizes), ..location.wanted() }))
    }

    /// Returns what was read, without the generations of derived tags; a failure is counted and logged.
    pub(super) fn end_read(&'static self, location: &Location, found: Result<Values>) -> Result<ReadResult> {
        self.observe(Operation::Get, &found);
        let found = found?;
        self.start_retrier();
        if let Some(tags) = location.tags.namespace() {
            tags.start_retrier();
        }
        let generations = location.generations_in(|index| found.get(1 + index));
        Ok(ReadResult { values: found, generations, derived_generations: Box::default() })
    }

    /// Reads what is under a key, however large it is; a failure is counted and logged.
    pub(super) async fn read_value(&'static self, key: &Key) -> Result<Option<Bytes>> {
        let read = async || {
            let common = CommonKeys::OfNamespace(&[]);
            let wanted = Wanted { first: Some(key.clone()), common, last: None, sizes: Some(&self.sizes) };
            self.read_combined(wanted).await.map(|found| found.get(0).cloned())
        };
        let expected_bytes = self.sizes.expected();
        match read().await {
            Err(error) if error.is_timeout() && self.has_large(key, expected_bytes).await => read().await,
            found => found,
        }
    }

    /// Adds the generations of the derived tags that are listed in a value that was read.
    pub(super) async fn read_derived(&'static self, mut found: ReadResult) -> Result<ReadResult> {
        if found.has_derived_tags() {
            let keys = found.value().map(|value| envelope::derived_tag_keys(value)).unwrap_or_default();
            found.derived_generations = self.read_generations(&keys).await?;
        }
        Ok(found)
    }

    /// Reads the generations under these keys.
    async fn read_generations(&'static self, keys: &[Key]) -> Result<Box<[Option<Generation>]>> {
        let found = self
            .read_combined(Wanted {
                first: None,
                common: CommonKeys::Shared(keys.into()),
                last: None,
                sizes: None,
            })
            .await?;
        Ok((0..keys.len()).map(|index| Generation::from_bytes(found.get(index)?)).collect())
    }

    /// Reads the generations that a value at this location depends on.
    async fn read_dependencies(&'static self, location: &Location) -> Result<FoundGenerations> {
        let found = self.read_combined(Wanted { first: None, ..location.wanted() }).await?;
        Ok(location.generations_in(|index| found.get(index)))
    }

    /// Returns `true` if a value is larger than was expected when its read began: that needs more time, and is to be repeated.
    ///
    /// The store is asked by one call at a time. Of those that wait for that, a few ask about their own keys, until one is large:
    /// a batch may have missed its deadline because of any of its values. After a question without an answer none does: the
    /// server may be overloaded.
    async fn has_large(&self, key: &Key, expected_bytes: usize) -> bool {
        let is_large = || self.sizes.largest() > expected_bytes;
        let SizeQuestion { lock, asked } = &self.size_question;
        let before = asked.load(Ordering::Relaxed);
        if is_large() {
            return true;
        }
        // A call that is not polled any more may have the lock.
        let Some(asking) = timeout(MAX_QUESTION_TIME, lock.lock()).await else { return is_large() };
        if is_large() || asked.load(Ordering::Relaxed) >= before + MAX_QUESTIONS {
            return is_large();
        }
        let is_answered = self.find_size(key).await.is_ok();
        asked.fetch_add(if is_answered { 1 } else { MAX_QUESTIONS }, Ordering::Relaxed);
        drop(asking);
        if is_answered && !is_large() {
            // Those that wait by now have asked before this call has the lock again.
            let _ = timeout(MAX_QUESTION_TIME, lock.lock()).await;
        }
        is_large()
    }

    /// Asks for the size of a value, in bytes, and records it.
    async fn find_size(&self, key: &Key) -> Result<usize> {
        let store = self.configured_store()?;
        let bytes = within(store.time_limit(), store.size_of(key)).await?;
        // 0 says that there is no value, or that the store does not know.
        if bytes > 0 {
            self.sizes.record(bytes);
        }
        Ok(bytes)
    }

    /// Reads keys, together with other calls; a failure is counted and logged.
    async fn read_combined(&'static self, wanted: Wanted) -> Result<Values> {
        let result = self.reads()?.begin(wanted).await;
        self.observe(Operation::Get, &result);
        result
    }

    /// Returns the generations of a location and creates those that are missing.
    ///
    /// `known` is what an earlier read returned; without it they are read.
    pub(crate) async fn generations(
        &'static self,
        location: &Location,
        known: Option<Box<[Option<Generation>]>>,
    ) -> Result<Box<[u64]>> {
        let known = match known {
            Some(known) => known,
            // Creating the only generation returns the one that is there.
            None if location.generation_keys.len() == 1 && location.primary.is_none() => [None].into(),
            None => self.read_dependencies(location).await?.into_boxed(),
        };
        let mut generations = Vec::with_capacity(known.len());
        for (index, (key, known)) in location.dependency_keys().zip(known).enumerate() {
            generations.push(match known {
                Some(generation) => generation.number,
                // The primary value is gone: a number that matches nothing, so that no call finds the alternate value.
                None if index == location.generation_keys.len() => random::token(),
                None => {
                    let ttl = (index >= NAMESPACE_GENERATIONS).then_some(TAG_GENERATION_TTL);
                    self.create_generation(key, ttl).await?
                }
            });
        }
        Ok(generations.into())
    }

    /// Returns the generation under a key and creates it if there is none.
    async fn create_generation(&self, key: &Key, ttl: Option<Duration>) -> Result<u64> {
        // Those of tags, and only those, expire.
        let new = if ttl.is_some() { Generation::of_tag() } else { Generation::random() };
        let found = self.with_deadline(|store| store.add(key, new.to_bytes(), ttl)).await?;
        if let Some(generation) = Generation::from_bytes(&found) {
            return Ok(generation.number);
        }
        // Foreign bytes are there. The generation they replaced is lost, so the values stored with it are stale anyway.
        self.with_deadline(|store| store.put(key, new.to_bytes(), ttl)).await?;
        Ok(new.number)
    }

    /// Returns `true` if the store still has these generations; `false` also if it fails.
    pub(crate) async fn are_current(&'static self, location: &Location, generations: &[u64]) -> bool {
        let found = self.read_dependencies(location).await;
        found.is_ok_and(|found| {
            let numbers = found.iter().map(|generation| generation.map(|generation| generation.number));
            numbers.eq(generations.iter().copied().map(Some))
        })
    }

    /// Returns each of these tags with its generation and creates those that are missing.
    pub(crate) async fn derived_generations(&'static self, tag_keys: &[Key]) -> Result<Vec<(Key, u64)>> {
        if tag_keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut generations = Vec::with_capacity(tag_keys.len());
        for (key, found) in tag_keys.iter().zip(self.read_generations(tag_keys).await?) {
            let generation = match found {
                Some(generation) => generation.number,
                None => self.create_generation(key, Some(TAG_GENERATION_TTL)).await?,
            };
            generations.push((key.clone(), generation));
        }
        Ok(generations)
    }

    /// Returns the epoch of all tags, which changes with every invalidation of a tag.
    pub(crate) async fn epoch(&self) -> Result<u64> {
        self.create_generation(&self.epoch_key(), None).await
    }

    /// Returns the keys of the generations of derived tags.
    ///
    /// A value whose derived tags are unknown, as those of an error are, has the epoch for its tag and so ends with any
    /// tag.
    pub(crate) fn derived_tag_keys(&self, tags: &DerivedTags) -> Vec<Key> {
        match tags {
            DerivedTags::Known(tags) => tags.iter().map(|tag| self.tag_key(tag)).collect(),
            DerivedTags::Any => vec![self.epoch_key()],
        }
    }

    /// Returns the key of the epoch of all tags.
    ///
    /// It has the form of a tag's key, so that a value can list it among its tags, but a digest that no tag has.
    pub(crate) fn epoch_key(&self) -> Key {
        Key::of_tag(Key::from_bytes(&format!("{}.all", self.name), &[]).digest())
    }

    /// Returns the key of the generation of a tag.
    ///
    /// A value lists the digests of its derived tags only, so the rest of the key is the same in an isolation.
    pub(crate) fn tag_key(&self, tag: &str) -> Key {
        let key = Key::from_bytes(&self.name, tag.as_bytes());
        if self.isolation.is_none() { key } else { Key::of_tag(key.digest()) }
    }
}

/// Returns a random generation, so that no two clears produce the same one.
pub(crate) fn new_generation() -> Bytes {
    Generation::random().to_bytes()
}
