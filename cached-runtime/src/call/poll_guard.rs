//! The keys whose computations the current thread is polling, so that a recursive call does not wait for itself.

use std::cell::RefCell;

use super::liveness::PollMark;
use crate::util::sync::thread_local;

thread_local! {
    /// The hashes of the keys, innermost last. If two keys have equal hashes, a call for one from within the
    /// other computes where it could have waited.
    static POLLING: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Marks a key as being polled by the current thread, and its flight as alive, while it lives.
#[derive(Debug)]
pub(crate) struct PollGuard<'a> {
    hash: u64,
    mark: Option<PollMark<'a>>,
}

impl<'a> PollGuard<'a> {
    pub(super) fn new(hash: u64, mark: Option<PollMark<'a>>) -> Self {
        POLLING.with(|polling| polling.borrow_mut().push(hash));
        Self { hash, mark }
    }

    /// Ends a poll after which the computation is going to be polled again.
    pub(super) fn pending(mut self) {
        if let Some(mark) = self.mark.take() {
            mark.pending();
        }
    }
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        // Not `with`: when a thread ends, the list may be destroyed before a future that holds a guard.
        let _ = POLLING.try_with(|polling| {
            let mut polling = polling.borrow_mut();
            if let Some(last) = polling.iter().rposition(|hash| *hash == self.hash) {
                polling.remove(last);
            }
        });
    }
}

/// Returns `true` if the current thread is polling the computation of the key with this hash.
pub(super) fn is_polling(hash: u64) -> bool {
    POLLING.with(|polling| polling.borrow().contains(&hash))
}
