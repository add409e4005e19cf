//! The counters of a cached function.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::striped_counter::StripedCounter;

/// The counters of one cached function in this process, since the program began.
///
/// Each call that was answered is counted in exactly one of the first six: their sum is the number of calls answered.
/// `peek` and the companion `uncached` are not counted.
///
/// # Examples
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
    /// Calls answered from memory by a fresh value.
    pub hits: u64,
    /// Calls answered from the shared store by a fresh value.
    pub shared_hits: u64,
    /// Calls answered at once by a value that was no longer fresh: within `stale_while_revalidate`, or within
    /// `stale_if_error` after a failure.
    pub stale_hits: u64,
    /// Calls that ran the function, also if it failed and a stale value was returned.
    pub computed: u64,
    /// Calls answered by the computation of another call in this process. Calls that share a read of the shared store are
    /// in `shared_hits`.
    pub joined: u64,
    /// Calls that ran the function without the cache: while caching was off, inside of [`uncached`](crate::uncached()), by
    /// the very computation that they would have waited for, directly or through others, or because the hash of the key was
    /// that of another key that was being computed.
    pub bypassed: u64,
    /// Computations in the background, for which no call waited.
    pub background_refreshes: u64,
    /// Computations of `detached` functions that went on when their last caller had left.
    pub abandoned: u64,
    /// Computations that returned an `Err` or exceeded their `timeout`.
    pub errors: u64,
    /// Computations that panicked.
    pub panics: u64,
    /// Operations of the shared store that failed or missed the deadline, and keys and values that could not be
    /// encoded. Their calls continued without the store.
    pub store_errors: u64,
    /// Operations of the shared store that were not sent, because too many others waited. Their calls continued without
    /// the store.
    pub overloaded: u64,
    /// Values in the shared store that could not be used, because they are damaged or were not written by this
    /// function.
    pub undecodable: u64,
    /// Results that were not stored, because the key was invalidated, or leased to another process, meanwhile.
    pub rejected_fills: u64,
    /// Those of the rejected results whose lease had expired or was given to another call, because this process stalled,
    /// or nobody polled the computation, for too long.
    pub expired_leases: u64,
    /// Values evicted from memory before their time, for want of space.
    pub evictions: u64,
    /// Values in memory now, including expired ones that were not removed yet; 0 with a shared store.
    pub entries: u64,
}

impl Stats {
    /// Returns the sum of the counters.
    #[must_use]
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            shared_hits: self.shared_hits + other.shared_hits,
            stale_hits: self.stale_hits + other.stale_hits,
            computed: self.computed + other.computed,
            joined: self.joined + other.joined,
            bypassed: self.bypassed + other.bypassed,
            background_refreshes: self.background_refreshes + other.background_refreshes,
            errors: self.errors + other.errors,
            panics: self.panics + other.panics,
            store_errors: self.store_errors + other.store_errors,
            undecodable: self.undecodable + other.undecodable,
            rejected_fills: self.rejected_fills + other.rejected_fills,
            overloaded: self.overloaded + other.overloaded,
            abandoned: self.abandoned + other.abandoned,
            expired_leases: self.expired_leases + other.expired_leases,
            evictions: self.evictions + other.evictions,
            entries: self.entries + other.entries,
        }
    }
}

/// The counters behind [`Stats`]; the number of entries is read elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: StripedCounter,
    pub(crate) shared_hits: StripedCounter,
    pub(crate) stale_hits: Counter,
    pub(crate) computed: Counter,
    pub(crate) joined: Counter,
    pub(crate) bypassed: Counter,
    pub(crate) background_refreshes: Counter,
    pub(crate) abandoned: Counter,
    pub(crate) errors: Counter,
    pub(crate) panics: Counter,
    pub(crate) store_errors: Counter,
    pub(crate) overloaded: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) rejected_fills: Counter,
    pub(crate) expired_leases: Counter,
    pub(crate) evictions: Counter,
    /// The sum of the durations of the computations that returned.
    pub(crate) computing_nanos: Counter,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Self {
            hits: StripedCounter::new(),
            shared_hits: StripedCounter::new(),
            stale_hits: Counter::new(),
            computed: Counter::new(),
            joined: Counter::new(),
            bypassed: Counter::new(),
            background_refreshes: Counter::new(),
            abandoned: Counter::new(),
            errors: Counter::new(),
            panics: Counter::new(),
            store_errors: Counter::new(),
            overloaded: Counter::new(),
            undecodable: Counter::new(),
            rejected_fills: Counter::new(),
            expired_leases: Counter::new(),
            evictions: Counter::new(),
            computing_nanos: Counter::new(),
        }
    }

    /// Returns how long a computation took that returned, on average; `None` before the first one.
    pub(crate) fn mean_computation(&self) -> Option<Duration> {
        let computations = self.computed.get() + self.bypassed.get() + self.background_refreshes.get();
        self.computing_nanos.get().checked_div(computations).map(Duration::from_nanos)
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
            abandoned: self.abandoned.get(),
            errors: self.errors.get(),
            panics: self.panics.get(),
            store_errors: self.store_errors.get(),
            overloaded: self.overloaded.get(),
            undecodable: self.undecodable.get(),
            rejected_fills: self.rejected_fills.get(),
            expired_leases: self.expired_leases.get(),
            evictions: self.evictions.get(),
            entries,
        }
    }
}

/// A counter that threads share.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
