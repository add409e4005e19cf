//! A counter of the runs of a body.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the runs of one body.
#[derive(Debug, Default)]
pub struct Runs(AtomicU64);

impl Runs {
    /// Creates a counter at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts another run and returns its number, from 1.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns the number of runs.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
