//! The keys whose computations the current thread is polling, so that a recursive call does not wait for itself.

use std::cell::RefCell;

use super::liveness::PollMark;
use super::wait_graph::FlightId;
use crate::util::sync::thread_local;

thread_local! {
    /// Innermost last.
    static POLLING: RefCell<Vec<Polling>> = const { RefCell::new(Vec::new()) };
}

/// A computation that the current thread is polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Polling {
    /// The hash of its key. If two keys have equal hashes, a call for one from within the other computes where it could
    /// have waited.
    hash: u64,
    flight: FlightId,
    table: TableId,
}

/// Identifies a table of flights as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableId(pub(super) usize);

/// Marks a key as being polled by the current thread, and its flight as alive, while it lives.
#[derive(Debug)]
pub(crate) struct PollGuard<'a> {
    polling: Polling,
    mark: Option<PollMark<'a>>,
}

impl<'a> PollGuard<'a> {
    pub(super) fn new(hash: u64, flight: FlightId, table: TableId, mark: PollMark<'a>) -> Self {
        let polling = Polling { hash, flight, table };
        POLLING.with(|all| all.borrow_mut().push(polling));
        Self { polling, mark: Some(mark) }
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
        let _ = POLLING.try_with(|all| {
            let mut all = all.borrow_mut();
            if all.last() == Some(&self.polling) {
                all.pop();
            } else if let Some(last) = all.iter().rposition(|polling| *polling == self.polling) {
                all.remove(last);
            }
        });
    }
}

/// Returns `true` if the current thread is polling the computation of the key with this hash.
pub(super) fn is_polling(hash: u64) -> bool {
    POLLING.with(|all| all.borrow().iter().any(|polling| polling.hash == hash))
}

/// Returns `true` if the current thread is polling a computation whose flight is of a table.
pub(super) fn is_polling_of(table: TableId) -> bool {
    POLLING.with(|all| all.borrow().iter().any(|polling| polling.table == table))
}

/// Returns the flights whose computations the current thread is polling.
pub(super) fn polling_flights() -> Vec<FlightId> {
    POLLING.with(|all| all.borrow().iter().map(|polling| polling.flight).collect())
}
