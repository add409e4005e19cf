//! Timers that never end.

use std::future::{Future, pending};
use std::time::Duration;

use tokio::time::Instant;

pub(crate) async fn sleep(_: Duration) {
    pending::<()>().await;
}

pub(crate) async fn sleep_until(_: Instant) {
    pending::<()>().await;
}

pub(crate) async fn timeout<T>(_: Duration, future: impl Future<Output = T>) -> Option<T> {
    Some(future.await)
}

pub(crate) async fn timeout_at<T>(_: Instant, future: impl Future<Output = T>) -> Option<T> {
    Some(future.await)
}
