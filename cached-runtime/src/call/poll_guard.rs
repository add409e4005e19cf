//! What the current thread is computing.

use std::cell::RefCell;

use crate::util::sync::thread_local;

thread_local! {
    /// The places whose computations are being polled by this thread, innermost last. Two with one number would only
    /// mean that one does not wait for the other.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// The time during which a computation is being polled.
#[derive(Debug)]
pub(crate) struct Entered(u64);

impl Entered {
    pub(super) fn new(place: u64) -> Self {
        ENTERED.with(|entered| entered.borrow_mut().push(place));
        Self(place)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Not `with`: at the end of a thread the list may be gone before a future that it drops.
        let _ = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            if let Some(last) = entered.iter().rposition(|place| *place == self.0) {
                entered.remove(last);
            }
        });
    }
}

pub(super) fn is_entered(place: u64) -> bool {
    ENTERED.with(|entered| entered.borrow().contains(&place))
}
