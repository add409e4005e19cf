//! The removal of expired entries.

use std::hash::Hash;

use super::map::Memory;
use super::pace::{Pace, Pass};
use crate::util::Moment;

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Makes sure that a task removes the entry after it has expired: starts one if none is running, or wakes the
    /// running one earlier. The task ends when the map is empty.
    ///
    /// The task belongs to the runtime of the call that stored something, and so follows that runtime's clock. When the
    /// runtime ends, the next insertion starts another task.
    pub(super) fn ensure_sweeper(&'static self, expires_at: Moment) {
        if self.sweeper.wake_by(expires_at) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(mut guard) = self.sweeper.try_start() else { return };
        runtime.spawn(async move {
            let mut pace = Pace::new();
            let mut due = expires_at;
            loop {
                guard.wait_until(due, pace.pause()).await;
                let pass = self.sweep().await;
                pace.record(&pass);
                if let Some(next) = pass.next_expiry() {
                    due = next;
                    continue;
                }
                drop(guard);
                // An insertion before that line relied on this task.
                let Some(restarted) =
                    Some(()).filter(|()| self.len() > 0).and_then(|()| self.sweeper.try_start())
                else {
                    return;
                };
                guard = restarted;
                due = Moment::now();
            }
        });
    }

    /// Visits all entries and removes those that have expired.
    ///
    /// It locks a shard for one entry at a time, and yields after every [`TURN`] entries, so that neither a caller nor
    /// the runtime waits for it.
    async fn sweep(&self) -> Pass {
        let mut pass = Pass::new(Moment::now());
        let mut expiries = self.expiries();
        while self.sweep_turn(&mut expiries, &mut pass) {
            tokio::task::yield_now().await;
        }
        pass
    }

    /// Visits the entries of one turn; returns `false` after the last entry.
    fn sweep_turn(&self, expiries: &mut impl Iterator<Item = (u64, Moment)>, pass: &mut Pass) -> bool {
        let mut visited = 0;
        for (hash, expires_at) in expiries.take(TURN) {
            visited += 1;
            if pass.visit(expires_at) {
                // Dropped outside of the lock.
                drop(self.remove_expired(hash, pass.began_at()));
            }
        }
        visited == TURN
    }
}

/// How many entries are visited, and removed if they have expired, before the task yields: 0.3 ms at most, plus what
/// the `Drop` of the values takes.
const TURN: usize = 512;
