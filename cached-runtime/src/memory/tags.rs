//! Invalidation of values in memory by their tags.
//!
//! There is no index from tags to values. Every invalidation has a number. The generation of a tag is the number of its
//! last invalidation. A value holds the generations of its tags, together with the number of the last invalidation
//! before its computation began: it is current while none of those generations is greater. So an invalidation is one
//! write, a value that was computed from before it is out of date from the moment it is stored, and the memory of a tag
//! is freed with the last value that has it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use quick_cache::DefaultHashBuilder;

use crate::policy::IsolationId;
use crate::util::{AtomicMoment, Moment};

/// The tags of one value, as of the time when its computation began.
#[derive(Debug, Clone)]
pub(crate) struct TagSnapshot {
    generations: Vec<Arc<Generation>>,
    /// The number of the last invalidation, of whichever tag, before the computation began.
    epoch: u64,
    isolation: IsolationId,
}

/// The tags that are derived from a value, by `tags_from`.
#[derive(Debug)]
pub(crate) enum DerivedTags {
    Known(Vec<String>),
    /// The function has `tags_from`, but there is no success to derive the tags from, as with a cached error. Any tag
    /// could have been one of them, so the invalidation of any tag counts.
    Any,
}

/// What happened to a tag last; shared by all values that have the tag.
#[derive(Debug)]
struct Generation {
    /// The number of the last invalidation, or expiration.
    changed: AtomicU64,
    /// The number of the last invalidation.
    invalidated: AtomicU64,
    /// The time of the last expiration.
    expired_at: AtomicMoment,
}

/// What the tags say about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagState {
    /// Nothing happened to its tags since its computation began.
    Current,
    /// It stopped being fresh then, because one of its tags was expired.
    Expired(Moment),
    /// One of its tags was invalidated.
    Invalidated,
}

impl Generation {
    fn new(number: u64) -> Self {
        Self {
            changed: AtomicU64::new(number),
            invalidated: AtomicU64::new(number),
            expired_at: AtomicMoment::default(),
        }
    }

    /// Records a change with this number. The number of any change is written last: whoever sees it sees the rest.
    fn change(&self, number: u64, change: Change) {
        match change {
            Change::Invalidation => self.invalidated.store(number, Ordering::Release),
            Change::Expiration(now) => self.expired_at.set(now),
        }
        self.changed.store(number, Ordering::Release);
    }

    fn has_changed_since(&self, number: u64) -> bool {
        self.changed.load(Ordering::Acquire) > number
    }
}

/// What happens to a tag.
#[derive(Debug, Clone, Copy)]
enum Change {
    Invalidation,
    Expiration(Moment),
}

impl TagSnapshot {
    /// Returns the snapshot for a value with these static tags whose computation begins now.
    pub(crate) fn new(tags: &[String]) -> Self {
        let isolation = IsolationId::current();
        with_table(isolation, |table| Self {
            generations: tags.iter().map(|tag| table.generation(tag)).collect(),
            epoch: table.epoch,
            isolation,
        })
    }

    /// Adds the tags that were derived from the value.
    ///
    /// An invalidation of them since the computation began counts, also if no value had them then.
    pub(crate) fn extend(&mut self, derived: &DerivedTags) {
        with_table(self.isolation, |table| match derived {
            DerivedTags::Known(tags) => self.generations.extend(tags.iter().map(|tag| table.generation(tag))),
            DerivedTags::Any => self.generations.push(Arc::clone(&table.any_tag)),
        });
    }

    /// Returns `true` if none of the tags was invalidated or expired since the computation began.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        !self.generations.iter().any(|generation| generation.has_changed_since(self.epoch))
    }

    /// Returns what the tags say about the value.
    pub(crate) fn state(&self) -> TagState {
        let changed = self.generations.iter().filter(|generation| generation.has_changed_since(self.epoch));
        let state = |generation: &Arc<Generation>| {
            if generation.invalidated.load(Ordering::Acquire) > self.epoch {
                TagState::Invalidated
            } else {
                TagState::Expired(generation.expired_at.get())
            }
        };
        changed.map(state).fold(TagState::Current, TagState::and)
    }
}

impl TagState {
    /// Combines what two tags say: an invalidation counts for more than an expiration, and of two expirations the earlier one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Invalidated, _) | (_, Self::Invalidated) => Self::Invalidated,
            (Self::Expired(one), Self::Expired(another)) => Self::Expired(one.min(another)),
            (Self::Expired(at), Self::Current) | (Self::Current, Self::Expired(at)) => Self::Expired(at),
            (Self::Current, Self::Current) => Self::Current,
        }
    }
}

/// Invalidates every value in memory that has this tag, and the computations in flight.
pub(crate) fn invalidate_tag(tag: &str) {
    with_table(IsolationId::current(), |table| table.change(tag, Change::Invalidation));
}

/// Makes every value in memory that has this tag stale, and discards the computations in flight.
pub(crate) fn expire_tag(tag: &str) {
    let now = Moment::now();
    with_table(IsolationId::current(), |table| table.change(tag, Change::Expiration(now)));
}

/// The generations of all tags that values have.
#[derive(Debug)]
struct Table {
    by_name: HashMap<Box<str>, Weak<Generation>>,
    /// The number of the last invalidation of any tag.
    epoch: u64,
    /// The same as a generation, for values with [`DerivedTags::Any`].
    any_tag: Arc<Generation>,
    /// The generation that a new tag begins with: the last invalidation of any tag in the same bucket of hashes.
    initial_generations: Box<[u64; BUCKETS]>,
    hasher: DefaultHashBuilder,
    /// The number of names at which those without a value are removed.
    prune_at: usize,
}

const BUCKETS: usize = 1_024;
const MIN_PRUNE_AT: usize = 64;

impl Table {
    fn new() -> Self {
        Self {
            by_name: HashMap::new(),
            epoch: 0,
            any_tag: Arc::new(Generation::new(0)),
            initial_generations: Box::new([0; BUCKETS]),
            hasher: DefaultHashBuilder::default(),
            prune_at: MIN_PRUNE_AT,
        }
    }

    fn change(&mut self, tag: &str, change: Change) {
        self.epoch += 1;
        let epoch = self.epoch;
        self.any_tag.change(epoch, change);
        if let Some(generation) = self.by_name.get(tag).and_then(Weak::upgrade) {
            generation.change(epoch, change);
        }
        // A computation in flight may derive the tag when no other value has it any more.
        *self.initial_generation(tag) = epoch;
    }

    fn generation(&mut self, tag: &str) -> Arc<Generation> {
        if let Some(generation) = self.by_name.get(tag).and_then(Weak::upgrade) {
            return generation;
        }
        if self.by_name.len() >= self.prune_at {
            self.by_name.retain(|_, generation| generation.strong_count() > 0);
            self.prune_at = (2 * self.by_name.len()).max(MIN_PRUNE_AT);
        }
        let generation = Arc::new(Generation::new(*self.initial_generation(tag)));
        self.by_name.insert(tag.into(), Arc::downgrade(&generation));
        generation
    }

    fn initial_generation(&mut self, tag: &str) -> &mut u64 {
        let bucket = self.bucket(tag);
        &mut self.initial_generations[bucket]
    }

    #[allow(clippy::cast_possible_truncation, reason = "less than BUCKETS")]
    fn bucket(&self, tag: &str) -> usize {
        (self.hasher.hash_one(tag) % BUCKETS as u64) as usize
    }
}

/// Uses the table of an isolation, or that of the process, under its lock. A panic of another thread that held the lock
/// leaves nothing half done.
fn with_table<T>(isolation: IsolationId, operation: impl FnOnce(&mut Table) -> T) -> T {
    #[cfg(feature = "test-util")]
    if !isolation.is_none() {
        return operation(
            isolated_tables().entry(isolation).or_insert_with(|| new_isolated_table(isolation)),
        );
    }
    #[cfg(not(feature = "test-util"))]
    let _ = isolation;
    operation(&mut table())
}

fn table() -> MutexGuard<'static, Table> {
    static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(|| Mutex::new(Table::new()));
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(feature = "test-util")]
fn isolated_tables() -> MutexGuard<'static, HashMap<IsolationId, Table>> {
    static TABLES: LazyLock<Mutex<HashMap<IsolationId, Table>>> = LazyLock::new(Mutex::default);
    TABLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a table that goes when the isolation ends.
#[cfg(feature = "test-util")]
fn new_isolated_table(isolation: IsolationId) -> Table {
    if let Some(current) = crate::policy::current_isolation() {
        current.at_end(move || {
            isolated_tables().remove(&isolation);
            Box::pin(std::future::ready(()))
        });
    }
    Table::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn snapshot(tags: &[&str]) -> TagSnapshot {
        TagSnapshot::new(&owned(tags))
    }

    fn derived(tags: &[&str]) -> DerivedTags {
        DerivedTags::Known(owned(tags))
    }

    /// Returns a tag that shares its bucket with none that a test here invalidates.
    fn tag_in_an_untouched_bucket() -> String {
        let table = table();
        let touched = ["tags b", "tags c", "late b", "gone a", "another tag"].map(|tag| table.bucket(tag));
        let mut tags = (0..).map(|n| format!("untouched {n}"));
        tags.find(|tag| !touched.contains(&table.bucket(tag))).unwrap()
    }

    #[test]
    fn value_is_current_until_one_of_its_tags_is_invalidated() {
        let (both, one) = (snapshot(&["tags a", "tags b"]), snapshot(&["tags a"]));
        invalidate_tag("tags c");
        assert!(both.is_current() && one.is_current());
        invalidate_tag("tags b");
        assert!(!both.is_current() && one.is_current());
        assert!(snapshot(&["tags a", "tags b"]).is_current(), "computed after it");
        assert!(snapshot(&[]).is_current());
    }

    #[test]
    fn value_is_stale_once_one_of_its_tags_is_expired() {
        let (both, one) = (snapshot(&["soft a", "soft b"]), snapshot(&["soft a"]));
        let before = Moment::now();
        expire_tag("soft b");
        assert!(!both.is_current());
        let TagState::Expired(at) = both.state() else { panic!("{:?}", both.state()) };
        assert!(before <= at && at <= Moment::now());
        assert_eq!(one.state(), TagState::Current);
        assert_eq!(snapshot(&["soft a", "soft b"]).state(), TagState::Current, "computed after it");

        invalidate_tag("soft a");
        assert_eq!((both.state(), one.state()), (TagState::Invalidated, TagState::Invalidated));
        expire_tag("soft a");
        assert_eq!((both.state(), one.state()), (TagState::Invalidated, TagState::Invalidated), "for good");
    }

    #[test]
    fn derived_tag_counts_from_the_beginning_of_the_computation() {
        let (mut before, mut other) = (snapshot(&["late a"]), snapshot(&["late a"]));
        invalidate_tag("late b");
        before.extend(&derived(&["late b"]));
        assert!(!before.is_current());
        other.extend(&derived(&[&tag_in_an_untouched_bucket()]));
        assert!(other.is_current());
        let mut after = snapshot(&[]);
        after.extend(&derived(&["late b"]));
        assert!(after.is_current());
    }

    #[test]
    fn invalidation_outlives_the_values_that_had_the_tag() {
        let mut before = snapshot(&[]);
        let other = snapshot(&["gone a"]);
        invalidate_tag("gone a");
        drop(other);
        before.extend(&derived(&["gone a"]));
        assert!(!before.is_current());
    }

    #[test]
    fn value_with_unknown_derived_tags_ends_with_any_tag() {
        let mut unknown = snapshot(&[]);
        unknown.extend(&DerivedTags::Any);
        assert!(unknown.is_current());
        invalidate_tag("another tag");
        assert!(!unknown.is_current());
    }

    #[test]
    fn tags_without_values_are_pruned() {
        for n in 0..10_000 {
            drop(snapshot(&[&format!("short {n}")]));
        }
        assert!(table().by_name.len() < 1_000);
    }
}
