//! The puts of one key by one runtime, one at a time.
//!
//! Two puts at the same time would take the lease of the key from each other. One that has lost it cannot tell to whom, and has to
//! remove what is under the key, which may be the value of the other one. So each waits for the one before it, and of those that
//! wait only the last one is made (group commit). The others have its outcome, as if each had come shortly before it.
//!
//! This keeps values; that no older one is left is guaranteed without it, see [`changes`](super::changes). Runtimes do not wait for
//! each other, as one may not be polled any more, and no put waits for longer than a lease lasts.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use crate::util::{limits, timer};
use crate::{Key, Result};

/// The keys of one namespace that are being put.
#[derive(Debug, Default)]
pub(crate) struct PutTurns(Mutex<HashMap<TurnsId, Arc<KeyTurns>>>);

/// A key, and the runtime that puts it.
type TurnsId = (Key, Option<Id>);

/// The puts of one key, numbered in their order.
#[derive(Debug)]
struct KeyTurns {
    last_number: AtomicU64,
    /// Held by the put that is being made: the number of the last put of its round, which began when the round before it ended. So
    /// puts that go on coming do not put off the next one for ever.
    round: tokio::sync::Mutex<u64>,
    /// The greatest number of a put that has ended, and its outcome.
    ended: watch::Sender<(u64, Outcome)>,
}

/// The outcome of a put; `None` if it was dropped.
type Outcome = Option<Result<()>>;

impl PutTurns {
    /// Enters a put of a key.
    pub(super) fn enter(&'static self, key: Key) -> PutTurn {
        let id = (key, Handle::try_current().ok().map(|runtime| runtime.id()));
        let mut keys = self.lock();
        let turns = Arc::clone(keys.entry(id.clone()).or_default());
        let number = turns.last_number.fetch_add(1, Ordering::AcqRel) + 1;
        drop(keys);
        PutTurn { all: self, id, turns, number, outcome: None }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TurnsId, Arc<KeyTurns>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for KeyTurns {
    fn default() -> Self {
        Self {
            last_number: AtomicU64::new(0),
            round: tokio::sync::Mutex::default(),
            ended: watch::Sender::new((0, None)),
        }
    }
}

/// The turn of one put. If it is dropped before its end, those that would have its outcome have none either.
#[derive(Debug)]
pub(crate) struct PutTurn {
    all: &'static PutTurns,
    id: TurnsId,
    turns: Arc<KeyTurns>,
    number: u64,
    outcome: Outcome,
}

impl PutTurn {
    /// Makes a put when it is its turn, unless a later one is made instead; returns the outcome of the one that was made, or `None`
    /// if that was dropped.
    pub(super) async fn make(mut self, put: impl Future<Output = Result<()>>) -> Outcome {
        let outcome = match timer::timeout(limits::LEASE_TERM.time(), self.wait()).await {
            Some(Wait::Ended(outcome)) => outcome,
            Some(Wait::Turn(_round)) => Some(put.await),
            None => Some(put.await),
        };
        self.outcome.clone_from(&outcome);
        outcome
    }

    /// Waits for the turn of the put, or for the end of the one that is made instead.
    async fn wait(&self) -> Wait<'_> {
        let mut ended = self.turns.ended.subscribe();
        let mut later_ended = std::pin::pin!(async {
            // The sender is in `turns`, so there is an end.
            let ended = ended.wait_for(|(number, _)| *number > self.number).await;
            ended.map_or(None, |ended| ended.1.clone())
        });
        let mut round = tokio::select! {
            biased;
            outcome = later_ended.as_mut() => return Wait::Ended(outcome),
            round = self.turns.round.lock() => round,
        };
        if self.number > *round {
            *round = self.turns.last_number.load(Ordering::Acquire);
        }
        if self.number == *round {
            return Wait::Turn(round);
        }
        // The last one of the round is behind this one.
        drop(round);
        Wait::Ended(later_ended.await)
    }
}

/// How the wait of a put ended.
enum Wait<'a> {
    /// It is to be made, while it holds this.
    Turn(#[allow(dead_code, reason = "it is only dropped")] tokio::sync::MutexGuard<'a, u64>),
    /// Another one was made instead.
    Ended(Outcome),
}

impl Drop for PutTurn {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        // If a later one has come, that one, or its end, answers those before it.
        let is_last = || self.turns.last_number.load(Ordering::Acquire) == self.number;
        if outcome.is_some() || is_last() {
            self.turns.ended.send_if_modified(|ended| {
                let is_later = self.number > ended.0;
                if is_later {
                    *ended = (self.number, outcome);
                }
                is_later
            });
        }
        let mut keys = self.all.lock();
        // Only the table has it besides.
        if Arc::strong_count(&self.turns) == 2 {
            keys.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;
    use tokio::task::{JoinSet, yield_now};

    use super::*;
    use crate::store::shutting_down;
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
            let put = async move {
                made.lock().unwrap().push(n);
                permits.acquire().await.unwrap().forget();
                outcome
            };
            async { turn.make(put).await.unwrap_or_else(|| Err(shutting_down())) }
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

    /// As when puts of a key come faster than they take their turns.
    #[tokio::test]
    async fn later_puts_do_not_put_off_the_last_one_of_a_round() {
        let puts = Puts::new();
        let mut waiting = JoinSet::new();
        waiting.spawn(puts.put(0, Ok(())));
        yield_now().await;
        for n in [1, 2] {
            waiting.spawn(puts.put(n, Ok(())));
        }
        yield_now().await;
        // The first of the next round has its turn when another one enters.
        puts.permits.add_permits(1);
        waiting.join_next().await.unwrap().unwrap().unwrap();
        waiting.spawn(puts.put(3, Ok(())));
        puts.permits.add_permits(2);
        assert!(waiting.join_all().await.iter().all(Result::is_ok));
        assert_eq!(puts.made(), [0, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_put_waits_for_as_long_as_a_lease_lasts() {
        let puts = Puts::new();
        let _stuck = tokio::spawn(puts.put(0, Ok(())));
        yield_now().await;
        let late = tokio::spawn(puts.put(1, Ok(())));
        tokio::time::sleep(limits::LEASE_TERM.time() * 2).await;
        assert_eq!(puts.made(), [0, 1]);
        puts.permits.add_permits(1);
        tokio::time::sleep(limits::LEASE_TERM.time()).await;
        assert!(puts.permits.available_permits() == 0 && !late.is_finished());
        puts.permits.add_permits(1);
        late.await.unwrap().unwrap();
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
