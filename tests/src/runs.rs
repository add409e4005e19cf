//! How often a body ran.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the runs of one body.
#[derive(Debug, Default)]
pub struct Runs(AtomicU64);

impl Runs {
    /// None so far.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Another run; returns which one, from 1 on.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
