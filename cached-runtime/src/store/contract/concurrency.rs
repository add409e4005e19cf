//! Calls that run at once, and calls that are dropped.

use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::BoxFuture;

/// How many callers come at once.
pub(super) const CROWD: usize = 64;

/// Starts a call and drops it half way, unless it is done after so many polls.
pub(super) async fn drop_after<T>(polls: usize, mut call: BoxFuture<'_, T>) {
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A future as one of many.
pub(super) fn boxed<'b, T>(future: impl Future<Output = T> + Send + 'b) -> BoxFuture<'b, T> {
    Box::pin(future)
}

/// The results of futures that all run at once, in their order.
pub(super) async fn together<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut left = 0;
        for (future, result) in futures.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(ready) => *result = Some(ready),
                Poll::Pending => left += 1,
            }
        }
        if left == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}
