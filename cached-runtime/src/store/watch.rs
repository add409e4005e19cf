//! The future that a store completes when a key changes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::BoxFuture;

/// A future that completes when a key may have changed; see [`Store::watch`](crate::Store::watch).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use cached_runtime::Watch;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let changed = Arc::new(tokio::sync::Notify::new());
/// let watch = Watch::new(Arc::clone(&changed).notified_owned());
/// changed.notify_waiters();
/// watch.await;
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Watch(BoxFuture<'static, ()>);

impl Watch {
    /// Creates a watch that completes when `change` does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Watch;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// Watch::new(async {}).await;
    /// # }
    /// ```
    pub fn new(change: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(change))
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
