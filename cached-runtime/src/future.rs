//! Futures as objects.

use std::future::Future;
use std::pin::Pin;

/// A boxed future that can be sent to other threads, as every method of `Store` returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
