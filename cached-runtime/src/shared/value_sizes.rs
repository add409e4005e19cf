//! The sizes of the values of a function, as far as this process knows them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Sizes of values in a shared store, in bytes; 0 while none is known.
#[derive(Debug, Default)]
pub(crate) struct ValueSizes {
    largest: AtomicUsize,
    typical: AtomicUsize,
}

/// The typical size while none is known: a first batch is small, so that it does not delay others if the values are large.
const UNKNOWN: usize = 16 << 10;

impl ValueSizes {
    /// Records the size of a value that was read, or is to be stored.
    pub(crate) fn record(&self, bytes: usize) {
        if bytes > self.largest() {
            self.largest.fetch_max(bytes, Ordering::Relaxed);
        }
        self.record_typical(bytes.max(1));
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

    /// Returns a size that most of the last values do not exceed.
    pub(crate) fn typical(&self) -> usize {
        match self.typical.load(Ordering::Relaxed) {
            0 => UNKNOWN,
            bytes => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_value_is_not_typical() {
        let sizes = ValueSizes::default();
        assert_eq!((sizes.largest(), sizes.typical()), (0, UNKNOWN));
        sizes.record(100);
        assert_eq!((sizes.largest(), sizes.typical()), (100, 100));
        sizes.record(60_000_000);
        assert_eq!((sizes.largest(), sizes.typical()), (60_000_000, 60_000_000));
        (0..200).for_each(|_| sizes.record(100));
        assert!(sizes.largest() == 60_000_000 && sizes.typical() < 200);
    }
}
