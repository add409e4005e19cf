//! The size of values that the server refuses.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::protocol::Epoch;

/// What is known about the limit of the server, whose replies do not contain it.
pub(super) struct SizeLimit {
    /// The server that this is about.
    server: Mutex<Option<Epoch>>,
    /// The size of the smallest value that it has refused as too large.
    smallest_refused: AtomicUsize,
}

impl SizeLimit {
    pub(super) fn unknown() -> Self {
        Self { server: Mutex::new(None), smallest_refused: AtomicUsize::new(usize::MAX) }
    }

    /// Drops the limit if a connection leads to another server, which may have another one.
    pub(super) fn connected_to(&self, epoch: Epoch) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        if server.replace(epoch) != Some(epoch) {
            self.smallest_refused.store(usize::MAX, Relaxed);
        }
    }

    /// Records that the server has refused a value of this size.
    pub(super) fn refused(&self, bytes: usize) {
        self.smallest_refused.fetch_min(bytes, Relaxed);
    }

    /// Returns `true` if the server has refused a value of this size, or a smaller one.
    pub(super) fn refuses(&self, bytes: usize) -> bool {
        bytes >= self.smallest_refused.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_that_of_one_server() {
        let limit = SizeLimit::unknown();
        limit.connected_to(Epoch(1));
        assert!(!limit.refuses(usize::MAX - 1));
        limit.refused(2_000);
        limit.refused(1_000);
        limit.refused(3_000);
        limit.connected_to(Epoch(1));
        assert_eq!((limit.refuses(999), limit.refuses(1_000)), (false, true));
        limit.connected_to(Epoch(2));
        assert!(!limit.refuses(1_000));
    }
}
