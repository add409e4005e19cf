//! A store with a flaw that the checker has to detect.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cached_runtime::{Acquired, BoxFuture, Key, LastAttempt, Lease, LeaseMode, Result, Store, Watch};
use cached_tests::EPOCH_KEY_OF_TAGS;
use cached_tests::map_store::MapStore;

use super::random::Random;
use super::runner::Pause;

/// The flaw of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// No flaw: operations are only slow.
    None,
    /// A fill stores the value also if the lease was lost.
    FillsWithoutLease,
    /// Removing a value does not end the lease.
    RemovesOnlyTheValue,
    /// Removing the generation of a tag has no effect.
    KeepsTags,
    /// Writing the epoch of all tags has no effect.
    KeepsEpoch,
    /// Generations are read with a lag, as from a replica.
    ReadsOldGenerations,
}

/// The largest age of a generation that is read.
const LAG: Duration = Duration::from_millis(20);

/// A store in this process that pauses before and after every operation.
#[derive(Debug)]
pub(super) struct Flawed {
    map: MapStore,
    flaw: Flaw,
    random: Mutex<Random>,
    /// The generations that are read with a lag, and when each was updated.
    cached: Mutex<HashMap<Key, (Option<Bytes>, Instant)>>,
}

impl Flawed {
    pub(super) fn new(flaw: Flaw, seed: u64) -> Self {
        Self {
            map: MapStore::default(),
            flaw,
            random: Mutex::new(Random::new(seed)),
            cached: Mutex::default(),
        }
    }

    fn slowly<'a, T: Send + 'a>(&'a self, operation: BoxFuture<'a, Result<T>>) -> BoxFuture<'a, Result<T>> {
        Box::pin(async {
            self.pause().pass().await;
            let result = operation.await;
            self.pause().pass().await;
            result
        })
    }

    fn pause(&self) -> Pause {
        Pause::any(&mut self.random.lock().unwrap())
    }
}

impl Store for Flawed {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        if self.flaw == Flaw::ReadsOldGenerations {
            return self.slowly(Box::pin(async move {
                let mut found = self.map.get(keys).await?;
                let mut cached = self.cached.lock().unwrap();
                for (key, found) in keys.iter().zip(&mut found).filter(|(key, _)| is_generation_key(key)) {
                    let cached = cached.entry(key.clone()).or_insert_with(|| (found.clone(), Instant::now()));
                    if cached.1.elapsed() > LAG {
                        *cached = (found.clone(), Instant::now());
                    }
                    found.clone_from(&cached.0);
                }
                Ok(found)
            }));
        }
        self.slowly(self.map.get(keys))
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        term: Duration,
        mode: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        self.slowly(self.map.acquire(key, lease, term, mode))
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.slowly(self.map.extend(key, lease, term))
    }

    fn fill<'a>(
        &'a self,
        key: &'a Key,
        lease: Lease,
        value: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<bool>> {
        if self.flaw == Flaw::FillsWithoutLease {
            return self.slowly(Box::pin(async move {
                self.map.put(key, value, Some(ttl)).await?;
                Ok(true)
            }));
        }
        self.slowly(self.map.fill(key, lease, value, ttl))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease, attempt: LastAttempt) -> BoxFuture<'a, Result<()>> {
        self.slowly(self.map.release(key, lease, attempt))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        if self.flaw == Flaw::KeepsEpoch && key.as_str() == EPOCH_KEY_OF_TAGS {
            return self.slowly(Box::pin(async { Ok(()) }));
        }
        self.slowly(self.map.put(key, value, ttl))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.slowly(self.map.add(key, value, ttl))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        if self.flaw == Flaw::KeepsTags && is_tag_key(key) {
            return self.slowly(Box::pin(async { Ok(()) }));
        }
        if self.flaw == Flaw::RemovesOnlyTheValue {
            return self.slowly(Box::pin(async move {
                self.map.with(key, |entry| entry.value = None);
                Ok(())
            }));
        }
        self.slowly(self.map.remove(key))
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.slowly(self.map.watch(key))
    }
}

/// Returns `true` for the key of the generation of a tag, and for that of the epoch of all tags.
fn is_tag_key(key: &Key) -> bool {
    key.as_str().starts_with("tags:")
}

fn is_generation_key(key: &Key) -> bool {
    is_tag_key(key) || key.as_str().contains(".generation:")
}
