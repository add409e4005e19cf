//! Helpers that run calls concurrently or drop them.

use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::BoxFuture;

/// The number of concurrent callers in a test.
pub(super) const CALLERS: usize = 64;

/// Polls a call at most `polls` times, and drops it then.
pub(super) async fn drop_after<T>(polls: usize, mut call: BoxFuture<'_, T>) {
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Boxes a future, as [`join_all`] takes it.
pub(super) fn boxed<'b, T>(future: impl Future<Output = T> + Send + 'b) -> BoxFuture<'b, T> {
    Box::pin(future)
}

/// Runs futures concurrently and returns their results in order.
pub(super) async fn join_all<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = 0;
        for (future, result) in futures.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(ready) => *result = Some(ready),
                Poll::Pending => pending += 1,
            }
        }
        if pending == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}
