//! Whether this process is about to end: [`shutdown`](crate::shutdown) was called.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// So that a look costs one load.
static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
static BEGUN: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

/// Announces the end.
pub(crate) fn begin() {
    HAS_BEGUN.store(true, Ordering::Release);
    BEGUN.send_replace(true);
}

pub(crate) fn has_begun() -> bool {
    HAS_BEGUN.load(Ordering::Acquire)
}

/// Waits for the announcement.
pub(crate) async fn begun() {
    // The sender is static, so waiting cannot fail.
    let _ = BEGUN.subscribe().wait_for(|has_begun| *has_begun).await;
}
