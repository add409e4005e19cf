//! Futures as objects.

use std::future::Future;
use std::pin::Pin;

/// A boxed future that can be sent to other threads, as every method of `Store` returns it.
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
