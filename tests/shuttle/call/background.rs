//! The stand-in for `background`: a computation in the background is a task of Shuttle, and their number is not bounded.

use std::future::Future;

#[derive(Debug)]
pub(crate) struct BackgroundPermit;

impl BackgroundPermit {
    #[allow(clippy::unnecessary_wraps, reason = "the real one can fail")]
    pub(crate) fn try_acquire() -> Option<Self> {
        Some(Self)
    }

    #[allow(clippy::unused_self, reason = "the real one holds a permit")]
    pub(crate) fn spawn(self, computation: impl Future<Output = ()> + Send + 'static) {
        drop(shuttle::future::spawn(computation));
    }
}
