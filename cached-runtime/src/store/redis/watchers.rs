//! Who waits for the server to say that a key has changed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Those who wait, by the name of the value; the server knows of the keys, but not of them.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Box<[u8]>, Vec<oneshot::Sender<()>>>,
    /// How many there are, those included that have gone away meanwhile.
    count: usize,
    /// When the server, which refused to tell, may be asked again.
    refused_until: Option<Instant>,
}

impl Watchers {
    /// Another one who waits; `None` if there are too many already, or the server will not tell.
    pub(super) fn add(&self, value: &[u8]) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.refused_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        if state.count >= MOST {
            state.sweep();
        }
        if state.count >= MOST {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.count += 1;
        match state.waiting.get_mut(value) {
            Some(others) => others.push(sender),
            None => drop(state.waiting.insert(value.into(), vec![sender])),
        }
        Some(receiver)
    }

    /// Tells those who wait for a key: a value, or its lease.
    pub(super) fn wake(&self, name: &[u8]) {
        let value = name.strip_suffix(LEASE_SUFFIX.as_bytes()).unwrap_or(name);
        let woken = {
            let mut state = self.state();
            let woken = state.waiting.remove(value).unwrap_or_default();
            state.count = state.count.saturating_sub(woken.len());
            woken
        };
        drop(woken); // Who waits for something that is gone is told as well.
    }

    /// Tells everybody: news may have been lost.
    pub(super) fn wake_all(&self) {
        let woken = {
            let mut state = self.state();
            state.count = 0;
            std::mem::take(&mut state.waiting)
        };
        drop(woken);
    }

    /// Takes note that the server will not tell. It may be another one after a while, or have other rules.
    pub(super) fn refused(&self) {
        self.state().refused_until = Some(Instant::now() + REFUSAL);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets those who have gone away.
    fn sweep(&mut self) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|sender| !sender.is_closed());
            !waiting.is_empty()
        });
        self.count = self.waiting.values().map(Vec::len).sum();
    }
}

/// What the name of a lease has after that of its value.
pub(super) const LEASE_SUFFIX: &str = ":l";

/// How many may wait at once.
const MOST: usize = 4096;

/// How long a server that refused to tell is not asked again.
const REFUSAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_woken(receiver: &mut oneshot::Receiver<()>) -> bool {
        receiver.try_recv() != Err(oneshot::error::TryRecvError::Empty)
    }

    #[test]
    fn everybody_who_waits_for_a_key_is_told_of_its_value_and_of_its_lease() {
        for name in [b"p:{key}".as_slice(), b"p:{key}:l"] {
            let watchers = Watchers::default();
            let mut same = [watchers.add(b"p:{key}").unwrap(), watchers.add(b"p:{key}").unwrap()];
            let mut other = watchers.add(b"p:{other}").unwrap();
            watchers.wake(name);
            assert!(same.iter_mut().all(is_woken));
            assert!(!is_woken(&mut other));
            watchers.wake_all();
            assert!(is_woken(&mut other));
            assert_eq!(watchers.state().count, 0);
        }
    }

    #[test]
    fn more_than_there_is_room_for_are_not_added_until_others_have_gone() {
        let watchers = Watchers::default();
        let mut waiting: Vec<_> = (0..MOST).filter_map(|n| watchers.add(&n.to_be_bytes())).collect();
        assert_eq!(waiting.len(), MOST);
        assert!(watchers.add(b"one more").is_none());
        waiting.truncate(MOST / 2);
        assert!(watchers.add(b"one more").is_some());
        assert_eq!(watchers.state().count, MOST / 2 + 1);
        assert!(!is_woken(&mut waiting[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_refuses_is_left_alone_for_a_while() {
        let watchers = Watchers::default();
        watchers.refused();
        assert!(watchers.add(b"key").is_none());
        tokio::time::advance(REFUSAL).await;
        assert!(watchers.add(b"key").is_some());
    }
}
