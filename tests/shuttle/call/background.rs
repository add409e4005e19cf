//! What stands for `background`: a computation that nobody waits for is a task of Shuttle's, and there is always room.

use std::future::Future;

#[derive(Debug)]
pub(crate) struct BackgroundPermit;

impl BackgroundPermit {
    #[allow(clippy::unnecessary_wraps, reason = "the real one can be refused")]
    pub(crate) fn take() -> Option<Self> {
        Some(Self)
    }

    #[allow(clippy::unused_self, reason = "the real one counts")]
    pub(crate) fn run(self, computation: impl Future<Output = ()> + Send + 'static) {
        drop(shuttle::future::spawn(computation));
    }
}
