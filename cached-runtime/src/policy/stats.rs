//! What one cached function has done so far.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counters of one cached function in this process, since the program began.
///
/// Every call is counted once, in one of the first six: their sum is the number of calls answered so far.
///
/// ```
/// use cached_runtime::{Stats, async_cached};
///
/// #[async_cached(ttl = 60)]
/// async fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// for n in [1, 2, 1, 1] {
///     double(n).await;
/// }
/// let Stats { hits, computed, entries, .. } = double::stats();
/// assert_eq!((hits, computed, entries), (2, 2, 2));
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls answered from memory.
    pub hits: u64,
    /// Calls answered from the shared store.
    pub shared_hits: u64,
    /// Calls answered at once by a value that was no longer fresh, while the next one was computed in the background.
    pub stale_hits: u64,
    /// Calls that ran the function, also if it failed and an older value was returned.
    pub computed: u64,
    /// Calls that were answered by a computation, or a read, that another call had begun.
    pub joined: u64,
    /// Calls that ran the function past the cache: `uncached`, or a function calling itself with the same key.
    pub bypassed: u64,
    /// Computations in the background, which no call waited for.
    pub background_refreshes: u64,
    /// Computations that ended in an `Err`, or not in time.
    pub errors: u64,
    /// Computations that ended in a panic.
    pub panics: u64,
    /// Operations that the shared store failed or did not answer in time, and keys and values that it can not be given; their
    /// calls went on without it.
    pub store_errors: u64,
    /// Values in the shared store that could not be used: truncated, foreign, of a type that nobody uses any more.
    pub undecodable: u64,
    /// Results that were not stored, because the key was invalidated or leased to another meanwhile.
    pub rejected_fills: u64,
    /// Values that gave way to others for want of room in memory.
    pub evictions: u64,
    /// Values in memory now, expired ones included until they are swept.
    pub entries: u64,
}

/// Where the numbers of [`Stats`] are counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Striped,
    pub(crate) shared_hits: Counter,
    pub(crate) stale_hits: Counter,
    pub(crate) computed: Counter,
    pub(crate) joined: Counter,
    pub(crate) bypassed: Counter,
    pub(crate) background_refreshes: Counter,
    pub(crate) errors: Counter,
    pub(crate) panics: Counter,
    pub(crate) store_errors: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) rejected_fills: Counter,
    pub(crate) evictions: Counter,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self {
            hits: Striped::new(),
            shared_hits: Counter::new(),
            stale_hits: Counter::new(),
            computed: Counter::new(),
            joined: Counter::new(),
            bypassed: Counter::new(),
            background_refreshes: Counter::new(),
            errors: Counter::new(),
            panics: Counter::new(),
            store_errors: Counter::new(),
            undecodable: Counter::new(),
            rejected_fills: Counter::new(),
            evictions: Counter::new(),
        }
    }

    pub(crate) fn snapshot(&self, entries: u64) -> Stats {
        Stats {
            hits: self.hits.get(),
            shared_hits: self.shared_hits.get(),
            stale_hits: self.stale_hits.get(),
            computed: self.computed.get(),
            joined: self.joined.get(),
            bypassed: self.bypassed.get(),
            background_refreshes: self.background_refreshes.get(),
            errors: self.errors.get(),
            panics: self.panics.get(),
            store_errors: self.store_errors.get(),
            undecodable: self.undecodable.get(),
            rejected_fills: self.rejected_fills.get(),
            evictions: self.evictions.get(),
            entries,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A counter for the hit path: threads count on cache lines of their own.
#[derive(Debug, Default)]
pub(crate) struct Striped([Line; STRIPES]);

const STRIPES: usize = 8;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(Counter);

impl Striped {
    const fn new() -> Self {
        Self([const { Line(Counter::new()) }; STRIPES])
    }

    #[inline]
    pub(crate) fn add_one(&self) {
        self.0[stripe()].0.add(1);
    }

    fn get(&self) -> u64 {
        self.0.iter().map(|line| line.0.get()).sum()
    }
}

/// The stripe of this thread; threads take them in turn.
#[inline]
fn stripe() -> usize {
    thread_local!(static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) });
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Relaxed) % STRIPES);
        }
        stripe.get() % STRIPES
    })
}
