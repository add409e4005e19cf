//! Tags in this process: which of what is in memory belongs together.
//!
//! There is no index. A tag is a cell with the number of its last invalidation, and a value holds the cells of its tags
//! together with the number that was the last when its computation began: as long as no cell has a greater one, the value
//! is current. So an invalidation is one write, whatever was computed from before it is out of date from the moment it is
//! stored, and what a tag takes up goes with the last value that has it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use quick_cache::DefaultHashBuilder;

/// The tags of one value, with the state of the world that it was computed from.
#[derive(Debug, Clone)]
pub(crate) struct TagSnapshot {
    cells: Vec<Arc<Cell>>,
    /// How many invalidations there had been, in all.
    since: u64,
}

/// The tags that only a value itself can tell.
#[derive(Debug)]
pub(crate) enum DerivedTags {
    Known(Vec<String>),
    /// It tells none though its function has such tags, as an error does not: any might have been one of its.
    Any,
}

/// A tag that some value has: the number of its last invalidation.
#[derive(Debug)]
struct Cell(AtomicU64);

impl TagSnapshot {
    /// A value with these tags that is about to be computed.
    pub(crate) fn new(tags: &[String]) -> Self {
        let mut cells = cells();
        let since = cells.last;
        Self { cells: tags.iter().map(|tag| cells.cell(tag)).collect(), since }
    }

    /// Gives it more tags, which only the value itself could tell.
    ///
    /// An invalidation of them since the computation began counts, also if no value had them then.
    pub(crate) fn extend(&mut self, told: &DerivedTags) {
        let mut cells = cells();
        match told {
            DerivedTags::Known(tags) => self.cells.extend(tags.iter().map(|tag| cells.cell(tag))),
            DerivedTags::Any => self.cells.push(Arc::clone(&cells.any)),
        }
    }

    /// Whether none of the tags was invalidated since the computation began.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        self.cells.iter().all(|cell| cell.0.load(Ordering::Acquire) <= self.since)
    }
}

/// Makes everything in memory that has this tag out of date, and what is being computed too.
pub(crate) fn invalidate_tag(tag: &str) {
    let mut cells = cells();
    cells.last += 1;
    let number = cells.last;
    cells.any.0.store(number, Ordering::Release);
    if let Some(cell) = cells.by_name.get(tag).and_then(Weak::upgrade) {
        cell.0.store(number, Ordering::Release);
    }
    // A value may be under way that turns out to have it when no other value has it any more.
    *cells.unknown(tag) = number;
}

/// The cells of all tags that values have.
#[derive(Debug)]
struct Cells {
    by_name: HashMap<Box<str>, Weak<Cell>>,
    /// The number of the last invalidation.
    last: u64,
    /// The same as a tag that all have who can not tell their tags.
    any: Arc<Cell>,
    /// The last invalidation of a tag, for each of some groups of tags: what a new cell begins with.
    unknown: Box<[u64; GROUPS]>,
    hasher: DefaultHashBuilder,
    /// With so many names it is time to look which are still in use.
    full_at: usize,
}

const GROUPS: usize = 1_024;
const FEW: usize = 64;

impl Cells {
    fn cell(&mut self, tag: &str) -> Arc<Cell> {
        if let Some(cell) = self.by_name.get(tag).and_then(Weak::upgrade) {
            return cell;
        }
        if self.by_name.len() >= self.full_at {
            self.by_name.retain(|_, cell| cell.strong_count() > 0);
            self.full_at = (2 * self.by_name.len()).max(FEW);
        }
        let cell = Arc::new(Cell(AtomicU64::new(*self.unknown(tag))));
        self.by_name.insert(tag.into(), Arc::downgrade(&cell));
        cell
    }

    fn unknown(&mut self, tag: &str) -> &mut u64 {
        #[allow(clippy::cast_possible_truncation, reason = "less than GROUPS")]
        let group = (self.hasher.hash_one(tag) % GROUPS as u64) as usize;
        &mut self.unknown[group]
    }
}

/// A panic while they are locked leaves nothing half done.
fn cells() -> MutexGuard<'static, Cells> {
    static CELLS: LazyLock<Mutex<Cells>> = LazyLock::new(|| {
        Mutex::new(Cells {
            by_name: HashMap::new(),
            last: 0,
            any: Arc::new(Cell(AtomicU64::new(0))),
            unknown: Box::new([0; GROUPS]),
            hasher: DefaultHashBuilder::default(),
            full_at: FEW,
        })
    });
    CELLS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn tagged(tags: &[&str]) -> TagSnapshot {
        TagSnapshot::new(&owned(tags))
    }

    fn told(tags: &[&str]) -> DerivedTags {
        DerivedTags::Known(owned(tags))
    }

    #[test]
    fn a_value_is_current_until_one_of_its_tags_is_invalidated() {
        let (both, one) = (tagged(&["tags a", "tags b"]), tagged(&["tags a"]));
        invalidate_tag("tags c");
        assert!(both.is_current() && one.is_current());
        invalidate_tag("tags b");
        assert!(!both.is_current() && one.is_current());
        assert!(tagged(&["tags a", "tags b"]).is_current(), "computed after it");
        assert!(tagged(&[]).is_current());
    }

    #[test]
    fn a_tag_that_only_the_value_tells_counts_from_the_beginning_of_the_computation() {
        let (mut before, mut other) = (tagged(&["late a"]), tagged(&["late a"]));
        invalidate_tag("late b");
        before.extend(&told(&["late b"]));
        assert!(!before.is_current());
        other.extend(&told(&["late other"]));
        assert!(other.is_current());
        let mut after = tagged(&[]);
        after.extend(&told(&["late b"]));
        assert!(after.is_current());
    }

    #[test]
    fn an_invalidation_is_known_longer_than_the_values_that_had_the_tag() {
        let mut before = tagged(&[]);
        let other = tagged(&["gone a"]);
        invalidate_tag("gone a");
        drop(other);
        before.extend(&told(&["gone a"]));
        assert!(!before.is_current());
    }

    #[test]
    fn what_tells_no_tags_ends_with_any() {
        let mut untold = tagged(&[]);
        untold.extend(&DerivedTags::Any);
        assert!(untold.is_current());
        invalidate_tag("nobody's");
        assert!(!untold.is_current());
    }

    #[test]
    fn a_tag_that_no_value_has_takes_up_nothing_for_long() {
        for n in 0..10_000 {
            drop(tagged(&[&format!("short {n}")]));
        }
        assert!(cells().by_name.len() < 1_000);
    }
}
