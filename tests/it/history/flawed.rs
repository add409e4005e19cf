//! A store that does not keep its promises, for a checker that has to notice.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cached_runtime::{Acquired, BoxFuture, Key, Lease, LeaseMode, Result, Store, Watch};
use cached_tests::MARK_OF_TAGS;
use cached_tests::map_store::MapStore;

use super::random::Random;
use super::runner::Pause;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It only takes its time.
    None,
    /// It stores also what was computed under a lease that is lost.
    FillsWithoutLease,
    /// It leaves the lease to whoever has it when the value is removed.
    RemovesOnlyTheValue,
    /// It does not remove the stamps of tags.
    KeepsTags,
    /// It does not change the mark that every end of a tag leaves.
    KeepsMark,
    /// It reads stamps as they were a moment ago, as from a replica that lags.
    ReadsOldStamps,
}

/// How old a stamp may be that it reads.
const LAG: Duration = Duration::from_millis(20);

/// A store in this process whose every answer takes some time, before and after the deed.
#[derive(Debug)]
pub(super) struct Flawed {
    inside: MapStore,
    flaw: Flaw,
    random: Mutex<Random>,
    /// The stamps as they were read some time ago, and when that was.
    read: Mutex<HashMap<Key, (Option<Bytes>, Instant)>>,
}

impl Flawed {
    pub(super) fn new(flaw: Flaw, seed: u64) -> Self {
        Self {
            inside: MapStore::default(),
            flaw,
            random: Mutex::new(Random::new(seed)),
            read: Mutex::default(),
        }
    }

    fn slowly<'a, T: Send + 'a>(&'a self, deed: BoxFuture<'a, Result<T>>) -> BoxFuture<'a, Result<T>> {
        Box::pin(async {
            self.pause().pass().await;
            let done = deed.await;
            self.pause().pass().await;
            done
        })
    }

    fn pause(&self) -> Pause {
        Pause::any(&mut self.random.lock().unwrap())
    }
}

impl Store for Flawed {
    fn get<'a>(&'a self, keys: &'a [Key]) -> BoxFuture<'a, Result<Vec<Option<Bytes>>>> {
        if self.flaw == Flaw::ReadsOldStamps {
            return self.slowly(Box::pin(async move {
                let mut found = self.inside.get(keys).await?;
                let mut read = self.read.lock().unwrap();
                for (key, found) in keys.iter().zip(&mut found).filter(|(key, _)| is_stamp(key)) {
                    let read = read.entry(key.clone()).or_insert_with(|| (found.clone(), Instant::now()));
                    if read.1.elapsed() > LAG {
                        *read = (found.clone(), Instant::now());
                    }
                    found.clone_from(&read.0);
                }
                Ok(found)
            }));
        }
        self.slowly(self.inside.get(keys))
    }

    fn acquire<'a>(
        &'a self,
        key: &'a Key,
        term: Duration,
        over: LeaseMode,
    ) -> BoxFuture<'a, Result<Acquired>> {
        self.slowly(self.inside.acquire(key, term, over))
    }

    fn extend<'a>(&'a self, key: &'a Key, lease: &'a Lease, term: Duration) -> BoxFuture<'a, Result<bool>> {
        self.slowly(self.inside.extend(key, lease, term))
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
                self.inside.put(key, value, Some(ttl)).await?;
                Ok(true)
            }));
        }
        self.slowly(self.inside.fill(key, lease, value, ttl))
    }

    fn release<'a>(&'a self, key: &'a Key, lease: Lease) -> BoxFuture<'a, Result<()>> {
        self.slowly(self.inside.release(key, lease))
    }

    fn put<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<()>> {
        if self.flaw == Flaw::KeepsMark && key.as_str() == MARK_OF_TAGS {
            return self.slowly(Box::pin(async { Ok(()) }));
        }
        self.slowly(self.inside.put(key, value, ttl))
    }

    fn add<'a>(&'a self, key: &'a Key, value: Bytes, ttl: Option<Duration>) -> BoxFuture<'a, Result<Bytes>> {
        self.slowly(self.inside.add(key, value, ttl))
    }

    fn remove<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        if self.flaw == Flaw::KeepsTags && is_tag(key) {
            return self.slowly(Box::pin(async { Ok(()) }));
        }
        if self.flaw == Flaw::RemovesOnlyTheValue {
            return self.slowly(Box::pin(async move {
                self.inside.with(key, |entry| entry.value = None);
                Ok(())
            }));
        }
        self.slowly(self.inside.remove(key))
    }

    fn watch<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Watch>>> {
        self.slowly(self.inside.watch(key))
    }
}

/// Whether it is where the stamp of a tag is.
fn is_tag(key: &Key) -> bool {
    key.as_str().starts_with("tags:")
}

fn is_stamp(key: &Key) -> bool {
    is_tag(key) || key.as_str().contains(".generation:")
}
