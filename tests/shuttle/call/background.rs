//! The stand-in for `background`: a computation in the background is a task of Shuttle, and their number is not bounded.

use std::time::Duration;

use super::backoff::Backoff;
use crate::BoxFuture;
use crate::policy::Counters;

#[derive(Debug)]
pub(crate) struct BackgroundQueue;

impl BackgroundQueue {
    pub(crate) fn new() -> Self {
        Self
    }
}

pub(crate) struct Turn;

impl Turn {
    pub(crate) fn new(
        _: &'static BackgroundQueue,
        _: u64,
        _: Option<Duration>,
        _: &'static Counters,
        _: &'static Backoff,
    ) -> Self {
        Self
    }

    #[allow(clippy::unused_self, reason = "the real one holds a place in a queue")]
    pub(crate) fn submit(self, begin: impl FnOnce() -> Option<BoxFuture<'static, ()>> + Send + 'static) {
        if let Some(computation) = begin() {
            drop(shuttle::future::spawn(computation));
        }
    }
}
