//! The sizes of the values of a function, as far as this process knows them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::reads::MAX_BATCH_BYTES;
use crate::store::LARGE_BYTES;

/// Sizes of values in a shared store, in bytes.
#[derive(Debug)]
pub(crate) struct ValueSizes {
    /// 0 while none is known.
    largest: AtomicUsize,
    typical: AtomicUsize,
}

/// The size that is assumed first: a first batch is small, so that it is not late if the values are large.
const ASSUMED_BYTES: usize = 64 << 10;

impl Default for ValueSizes {
    fn default() -> Self {
        Self { largest: AtomicUsize::new(0), typical: AtomicUsize::new(ASSUMED_BYTES) }
    }
}

impl ValueSizes {
    /// Records the size of a value that was read or stored.
    pub(crate) fn record(&self, bytes: usize) {
        let bytes = bytes.max(1);
        if bytes > self.largest() && self.largest.fetch_max(bytes, Ordering::Relaxed) == 0 {
            self.typical.store(bytes, Ordering::Relaxed);
        } else {
            self.record_typical(bytes);
        }
    }

    /// Records that there was no value under a key: as long as there are none, less and less is assumed. A batch has one key more
    /// for each, so the batches of a function whose values are not stored yet double, as the window of a connection does in slow
    /// start (RFC 5681).
    pub(crate) fn record_absence(&self) {
        if self.largest() == 0 {
            let assumed = self.typical();
            let less = (assumed * assumed).div_ceil(MAX_BATCH_BYTES + assumed);
            // Fails if another thread has recorded something, which counts instead.
            let _ =
                self.typical.compare_exchange(assumed, assumed - less, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Grows at once, and shrinks slowly.
    fn record_typical(&self, bytes: usize) {
        let before = self.typical.load(Ordering::Relaxed);
        let less = before.saturating_sub(bytes) / 8;
        if bytes > before {
            self.typical.fetch_max(bytes, Ordering::Relaxed);
        } else if less > 0 {
            // Fails if another thread has recorded a size, which counts instead.
            let _ =
                self.typical.compare_exchange(before, before - less, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Returns the size of the largest value so far. It does not shrink: a function that has had one large value may have another.
    pub(crate) fn largest(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    /// Returns the size up to which a value is no surprise: that of a small one, or of the largest so far; while none is known, what
    /// is assumed.
    pub(crate) fn expected(&self) -> usize {
        match self.largest() {
            0 => self.typical(),
            largest => largest.max(LARGE_BYTES),
        }
    }

    /// Returns a size that most of the last values do not exceed.
    pub(crate) fn typical(&self) -> usize {
        self.typical.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_value_is_not_typical() {
        let sizes = ValueSizes::default();
        assert_eq!((sizes.largest(), sizes.typical()), (0, ASSUMED_BYTES));
        sizes.record(100);
        assert_eq!((sizes.largest(), sizes.typical()), (100, 100));
        sizes.record(60_000_000);
        assert_eq!((sizes.largest(), sizes.typical()), (60_000_000, 60_000_000));
        (0..200).for_each(|_| sizes.record(100));
        assert!(sizes.largest() == 60_000_000 && sizes.typical() < 200);
    }

    #[test]
    fn values_that_are_absent_count_until_one_is_known() {
        let sizes = ValueSizes::default();
        assert_eq!(MAX_BATCH_BYTES / sizes.typical(), 16);
        (0..16).for_each(|_| sizes.record_absence());
        assert!((31..=33).contains(&(MAX_BATCH_BYTES / sizes.typical())));
        (0..992).for_each(|_| sizes.record_absence());
        assert!((1_000..1_300).contains(&(MAX_BATCH_BYTES / sizes.typical())));
        sizes.record(50_000);
        sizes.record_absence();
        assert_eq!((sizes.largest(), sizes.typical()), (50_000, 50_000));
    }
}
