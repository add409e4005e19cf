//! The puts of one key in this process, one at a time.
//!
//! Two puts at the same time would take the lease of the key from each other. One that has lost it cannot tell to whom, and has to
//! remove what is under the key, which may be the value of the other one. So each waits for the one before it, and of those that
//! wait only the last one is made (group commit). The others have its outcome, as if each had come shortly before it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::store::shutting_down;
use crate::{Key, Result};

/// The keys of one namespace that are being put.
#[derive(Debug, Default)]
pub(crate) struct PutTurns(Mutex<HashMap<Key, Arc<KeyTurns>>>);

/// The puts of one key, numbered in their order.
#[derive(Debug)]
struct KeyTurns {
    last_number: AtomicU64,
    /// Held by the put that is being made.
    being_made: tokio::sync::Mutex<()>,
    /// The greatest number of a put that has ended, and its outcome.
    ended: watch::Sender<(u64, Result<()>)>,
}

impl PutTurns {
    /// Enters a put of a key.
    pub(super) fn enter(&'static self, key: Key) -> PutTurn {
        let mut keys = self.lock();
        let turns = Arc::clone(keys.entry(key.clone()).or_default());
        let number = turns.last_number.fetch_add(1, Ordering::AcqRel) + 1;
        drop(keys);
        PutTurn { all: self, key, turns, number, outcome: None }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<KeyTurns>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for KeyTurns {
    fn default() -> Self {
        Self {
            last_number: AtomicU64::new(0),
            being_made: tokio::sync::Mutex::default(),
            ended: watch::Sender::new((0, Ok(()))),
        }
    }
}

/// The turn of one put. If it is dropped before its end, the put has failed, and with it those that would have its outcome.
#[derive(Debug)]
pub(crate) struct PutTurn {
    all: &'static PutTurns,
    key: Key,
    turns: Arc<KeyTurns>,
    number: u64,
    outcome: Option<Result<()>>,
}

impl PutTurn {
    /// Makes a put when it is its turn, unless a later one is made instead; returns the outcome of the one that was made.
    pub(super) async fn make(mut self, put: impl Future<Output = Result<()>>) -> Result<()> {
        let mut ended = self.turns.ended.subscribe();
        let later_ended = async |ended: &mut watch::Receiver<(u64, Result<()>)>| {
            // The sender is in `turns`, so there is an end.
            let ended = ended.wait_for(|(number, _)| *number > self.number).await;
            ended.map_or_else(|_| Err(shutting_down()), |ended| ended.1.clone())
        };
        let being_made = tokio::select! {
            biased;
            outcome = later_ended(&mut ended) => Err(outcome),
            being_made = self.turns.being_made.lock() => Ok(being_made),
        };
        let outcome = match being_made {
            Ok(_being_made) if self.is_last() => put.await,
            // Those that came later are behind this one.
            Ok(being_made) => {
                drop(being_made);
                later_ended(&mut ended).await
            }
            Err(outcome) => outcome,
        };
        self.outcome = Some(outcome.clone());
        outcome
    }

    fn is_last(&self) -> bool {
        self.turns.last_number.load(Ordering::Acquire) == self.number
    }
}

impl Drop for PutTurn {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(shutting_down()));
        self.turns.ended.send_if_modified(|ended| {
            let is_later = self.number > ended.0;
            if is_later {
                *ended = (self.number, outcome);
            }
            is_later
        });
        let mut keys = self.all.lock();
        // Only the table has it besides.
        if Arc::strong_count(&self.turns) == 2 {
            keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;
    use tokio::task::{JoinSet, yield_now};

    use super::*;
    use crate::{Error, ErrorKind};

    fn key() -> Key {
        Key::new("put turns", &1).unwrap()
    }

    /// Puts that end when they are permitted to.
    struct Puts {
        turns: &'static PutTurns,
        permits: Arc<Semaphore>,
        made: Arc<Mutex<Vec<usize>>>,
    }

    impl Puts {
        fn new() -> Self {
            Self {
                turns: Box::leak(Box::default()),
                permits: Arc::new(Semaphore::new(0)),
                made: Arc::default(),
            }
        }

        fn put(&self, n: usize, outcome: Result<()>) -> impl Future<Output = Result<()>> + Send + use<> {
            let (turn, permits, made) =
                (self.turns.enter(key()), Arc::clone(&self.permits), Arc::clone(&self.made));
            turn.make(async move {
                made.lock().unwrap().push(n);
                permits.acquire().await.unwrap().forget();
                outcome
            })
        }

        fn made(&self) -> Vec<usize> {
            self.made.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn of_those_that_wait_the_last_one_is_made() {
        let puts = Puts::new();
        let first = tokio::spawn(puts.put(0, Ok(())));
        yield_now().await;
        let others: JoinSet<_> = (1..1_000).map(|n| puts.put(n, Ok(()))).collect();
        yield_now().await;
        assert_eq!(puts.made(), [0], "one at a time");
        puts.permits.add_permits(2);
        first.await.unwrap().unwrap();
        assert!(others.join_all().await.iter().all(Result::is_ok));
        assert_eq!(puts.made(), [0, 999]);
        assert!(puts.turns.lock().is_empty());
    }

    #[tokio::test]
    async fn those_that_are_not_made_have_the_outcome_of_the_last_one() {
        let puts = Puts::new();
        let first = tokio::spawn(puts.put(0, Ok(())));
        yield_now().await;
        let failure = Error::new(ErrorKind::Timeout, "late");
        let others = [tokio::spawn(puts.put(1, Ok(()))), tokio::spawn(puts.put(2, Err(failure)))];
        yield_now().await;
        puts.permits.add_permits(2);
        first.await.unwrap().unwrap();
        for put in others {
            assert!(put.await.unwrap().unwrap_err().is_timeout());
        }
        assert_eq!(puts.made(), [0, 2]);
    }

    #[tokio::test]
    async fn a_put_that_is_dropped_has_failed() {
        let puts = Puts::new();
        let first = tokio::spawn(puts.put(0, Ok(())));
        yield_now().await;
        let [second, third] = [1, 2].map(|n| tokio::spawn(puts.put(n, Ok(()))));
        yield_now().await;
        third.abort();
        assert!(third.await.unwrap_err().is_cancelled());
        assert!(second.await.unwrap().is_err());
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        puts.permits.add_permits(1);
        puts.put(3, Ok(())).await.unwrap();
        assert_eq!(puts.made(), [0, 3]);
        assert!(puts.turns.lock().is_empty());
    }
}
