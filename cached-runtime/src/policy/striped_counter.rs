//! A counter for the hit path, which threads increment without waiting for one another.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use Ordering::{AcqRel, Acquire, Relaxed, Release};

/// A counter, striped as `LongAdder` of Java is: threads increment on cache lines of their own, and reading adds the
/// stripes up.
///
/// A thread that is the only one on its stripe increments by a load and a store, which cost a fraction of an atomic
/// addition. There are [`OWNED`] such threads at a time; any further ones share the other stripes.
#[derive(Debug, Default)]
pub(crate) struct StripedCounter([Stripe; OWNED + SHARED]);

/// The number of stripes that belong to one thread each.
const OWNED: usize = 8;
/// The number of stripes that the other threads share.
const SHARED: usize = 8;

/// A counter with a cache line of its own. Some processors fetch lines of 64 bytes in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl StripedCounter {
    pub(super) const fn new() -> Self {
        Self([const { Stripe(AtomicU64::new(0)) }; OWNED + SHARED])
    }

    #[inline]
    pub(crate) fn add_one(&self) {
        let index = STRIPE.get();
        if index < OWNED {
            self.add_one_to_owned(index);
        } else {
            self.add_one_elsewhere(index);
        }
    }

    #[inline]
    fn add_one_to_owned(&self, index: usize) {
        let Stripe(count) = &self.0[index];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Increments by a thread that has no stripe of its own, or no stripe yet.
    #[cold]
    fn add_one_elsewhere(&self, index: usize) {
        match self.0.get(index) {
            Some(Stripe(count)) => {
                count.fetch_add(1, Relaxed);
            }
            None => {
                assign_stripe();
                self.add_one();
            }
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Relaxed)).sum()
    }
}

thread_local! {
    /// The index of the stripe of this thread; one that is too high if it has none yet.
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    /// Gives the stripe back when the thread ends.
    static OWNER: Cell<Option<Owner>> = const { Cell::new(None) };
}

/// The owned stripes that are in use, a bit for each.
static IN_USE: AtomicU64 = AtomicU64::new(0);

/// Takes a stripe for this thread.
fn assign_stripe() {
    let shared = next_shared();
    // Set first: a thread that is ending gets no stripe of its own.
    STRIPE.set(shared);
    let _ = OWNER.try_with(|owner| {
        if let Some(owned) = Owner::claim() {
            STRIPE.set(owned.0);
            owner.set(Some(owned));
        }
    });
}

/// Returns the shared stripes in turn.
fn next_shared() -> usize {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let turn = NEXT.fetch_add(1, Relaxed) % SHARED as u64;
    OWNED + usize::try_from(turn).unwrap_or(0)
}

/// The right to the stripe with this index.
struct Owner(usize);

impl Owner {
    fn claim() -> Option<Self> {
        let first_free = |in_use: u64| (in_use.trailing_ones() as usize, in_use | (in_use + 1));
        let claim =
            |in_use| Some(first_free(in_use)).filter(|(index, _)| *index < OWNED).map(|(_, next)| next);
        // What the previous owner has stored is seen.
        let before = IN_USE.fetch_update(AcqRel, Acquire, claim).ok()?;
        Some(Self(first_free(before).0))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        STRIPE.set(next_shared());
        IN_USE.fetch_and(!(1 << self.0), Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_live_at_the_same_time_or_after_one_another_lose_no_count() {
        static COUNTER: StripedCounter = StripedCounter::new();
        const THREADS: usize = 3 * OWNED;
        let together = Barrier::new(THREADS);
        for _ in 0..10 {
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        together.wait();
                        (0..1_000).for_each(|_| COUNTER.add_one());
                        together.wait();
                    });
                }
            });
        }
        assert_eq!(COUNTER.get(), 10 * 1_000 * THREADS as u64);
    }

    #[test]
    fn no_two_threads_own_a_stripe() {
        let together = Barrier::new(2 * OWNED);
        let mut stripes: Vec<usize> = thread::scope(|scope| {
            let run = || {
                assign_stripe();
                let stripe = STRIPE.get();
                together.wait();
                stripe
            };
            let threads: Vec<_> = (0..2 * OWNED).map(|_| scope.spawn(run)).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .filter(|stripe| *stripe < OWNED)
                .collect()
        });
        let owned = stripes.len();
        stripes.sort_unstable();
        stripes.dedup();
        assert_eq!(stripes.len(), owned);
    }
}
