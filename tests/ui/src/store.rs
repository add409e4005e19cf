//! A store that holds nothing, for tests that only compile.

use std::time::Duration;

use bytes::Bytes;
use cached_runtime::{Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch};

/// A custom store.
pub static STORE: Nowhere = Nowhere;

/// A store that discards all values.
#[derive(Debug)]
pub struct Nowhere;

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Store for Nowhere {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        ready(vec![None; keys.len()])
    }

    fn acquire<'a>(
        &'a self,
        _: &'a Key,
        _: Lease,
        _: Duration,
        _: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        ready(Acquired::granted())
    }

    fn extend<'a>(&'a self, _: &'a Key, _: &'a Lease, _: Duration) -> BoxFuture<'a, Result<bool>> {
        ready(true)
    }

    fn fill<'a>(&'a self, _: &'a Key, _: Lease, _: Bytes, _: Duration) -> BoxFuture<'a, Result<bool>> {
        ready(true)
    }

    fn release<'a>(&'a self, _: &'a Key, _: Lease, _: LastAttempt) -> BoxFuture<'a, Result<()>> {
        ready(())
    }

    fn put<'a>(&'a self, _: &'a Key, _: Bytes, _: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        ready(())
    }

    fn add<'a>(&'a self, _: &'a Key, value: Bytes, _: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        ready(value)
    }

    fn remove<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<()>> {
        ready(())
    }

    fn watch<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        ready(None)
    }
}
