//! The type of boxed futures.

use std::future::Future;
#[cfg(feature = "store")]
use std::future::poll_fn;
use std::pin::Pin;
#[cfg(feature = "store")]
use std::task::Poll;

/// A boxed future that is `Send`, as the methods of `Store` return it.
///
/// # Examples
///
/// ```
/// use cached_runtime::{BoxFuture, Result};
///
/// fn length(text: &str) -> BoxFuture<'_, Result<usize>> {
///     Box::pin(async move { Ok(text.len()) })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// assert_eq!(length("EUR").await?, 3);
/// # Ok(())
/// # }
/// ```
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs futures at the same time in this task, and returns their outputs in the order of the futures.
#[cfg(feature = "store")]
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<_> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, output) in running.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if outputs.iter().any(Option::is_none) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
