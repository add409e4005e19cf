//! The callers that wait for the server to notify them of a change.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::names::LEASE_SUFFIX;

/// The waiting callers, by the name of the value. The server tracks the keys for the connection, not for each
/// caller.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    senders: HashMap<Box<[u8]>, Vec<oneshot::Sender<()>>>,
    /// The number of senders, including those whose receiver was dropped.
    count: usize,
    /// When a server that refused to notify may be asked again.
    refused_until: Option<Instant>,
}

impl Watchers {
    /// Adds a caller that waits for a value or its lease to change.
    ///
    /// Returns `None` if there are [`MAX_WATCHERS`] already, or if the server refused to notify within
    /// [`REFUSAL_DURATION`].
    pub(super) fn subscribe(&self, value: &[u8]) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.refused_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        if state.count >= MAX_WATCHERS {
            state.remove_closed();
        }
        if state.count >= MAX_WATCHERS {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.count += 1;
        match state.senders.get_mut(value) {
            Some(others) => others.push(sender),
            None => drop(state.senders.insert(value.into(), vec![sender])),
        }
        Some(receiver)
    }

    /// Notifies the callers that wait for a key, which is the name of a value or of its lease.
    pub(super) fn notify(&self, name: &[u8]) {
        let value = name.strip_suffix(LEASE_SUFFIX.as_bytes()).unwrap_or(name);
        let senders = {
            let mut state = self.state();
            let senders = state.senders.remove(value).unwrap_or_default();
            state.count = state.count.saturating_sub(senders.len());
            senders
        };
        drop(senders); // Closes the channels, which wakes the receivers, outside the lock.
    }

    /// Notifies all callers, because notifications may have been lost.
    pub(super) fn notify_all(&self) {
        let senders = {
            let mut state = self.state();
            state.count = 0;
            std::mem::take(&mut state.senders)
        };
        drop(senders);
    }

    /// Records that the server refused to notify. After a while it may be another server, or have other
    /// permissions.
    pub(super) fn record_refusal(&self) {
        self.state().refused_until = Some(Instant::now() + REFUSAL_DURATION);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes the senders whose receiver was dropped.
    fn remove_closed(&mut self) {
        self.senders.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        self.count = self.senders.values().map(Vec::len).sum();
    }
}

/// The maximum number of waiting callers.
const MAX_WATCHERS: usize = 4096;

/// How long a server that refused to notify is not asked again.
const REFUSAL_DURATION: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_notified(receiver: &mut oneshot::Receiver<()>) -> bool {
        receiver.try_recv() != Err(oneshot::error::TryRecvError::Empty)
    }

    #[test]
    fn change_of_a_value_or_its_lease_notifies_every_watcher_of_the_key() {
        for name in [b"p:{key}".as_slice(), b"p:{key}:l"] {
            let watchers = Watchers::default();
            let mut same = [watchers.subscribe(b"p:{key}").unwrap(), watchers.subscribe(b"p:{key}").unwrap()];
            let mut other = watchers.subscribe(b"p:{other}").unwrap();
            watchers.notify(name);
            assert!(same.iter_mut().all(is_notified));
            assert!(!is_notified(&mut other));
            watchers.notify_all();
            assert!(is_notified(&mut other));
            assert_eq!(watchers.state().count, 0);
        }
    }

    #[test]
    fn number_of_watchers_is_bounded() {
        let watchers = Watchers::default();
        let mut receivers: Vec<_> =
            (0..MAX_WATCHERS).filter_map(|n| watchers.subscribe(&n.to_be_bytes())).collect();
        assert_eq!(receivers.len(), MAX_WATCHERS);
        assert!(watchers.subscribe(b"one more").is_none());
        receivers.truncate(MAX_WATCHERS / 2);
        assert!(watchers.subscribe(b"one more").is_some());
        assert_eq!(watchers.state().count, MAX_WATCHERS / 2 + 1);
        assert!(!is_notified(&mut receivers[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn server_that_refused_is_not_asked_for_a_while() {
        let watchers = Watchers::default();
        watchers.record_refusal();
        assert!(watchers.subscribe(b"key").is_none());
        tokio::time::advance(REFUSAL_DURATION).await;
        assert!(watchers.subscribe(b"key").is_some());
    }
}
