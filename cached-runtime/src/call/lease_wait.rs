//! Waiting for another process that holds the lease of a key.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::flight::Flight;
use crate::shared::{HeldLease, LeaseAnswer, LeaseRequest, Tier};
use crate::util::timer::{sleep, timeout};
use crate::util::{limits, random};

/// The bounds of the pause between two requests to a store without notifications. Inside them the pause is 1 % of the
/// time waited so far, so that the delay before a change is noticed stays in proportion. See also [`MIN_INTERVAL`].
const MIN_PAUSE: Duration = Duration::from_millis(2);
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The longest time without a request to a store with notifications, in case it lost one.
const WATCH_TIMEOUT: Duration = Duration::from_millis(200);

/// The mean time between two requests of this process, at least, that follow a pause: many calls that wait must not overload the
/// store.
const MIN_INTERVAL: Duration = Duration::from_micros(50);

/// The number of calls of this process that wait.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Counts a call that waits, until it is dropped.
struct Waiting;

impl Waiting {
    fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Requests the lease until it is acquired or the key is filled, or until there is nothing to wait for; but no longer than
/// the wait budget after `started_at`, when the call began to wait.
///
/// A computation of another process that fails, or is invalidated, leaves the lease to one of those that wait. The others
/// wait for that one: each such event costs one computation more, however many processes wait.
///
/// Where the store sends notifications, the next request follows a change of the key; in any case it follows a pause.
/// A single failure of the store is ignored: if one cut connection ended the wait, all waiting calls would compute at once. So is
/// any number of requests that were not sent under load.
pub(crate) async fn acquire<K, V, S>(
    tier: &'static Tier<K, V>,
    mut request: LeaseRequest,
    flight: &Flight<K, S, HeldLease>,
    started_at: Instant,
) -> LeaseAnswer {
    let since = Instant::now();
    let mut watch = None;
    let mut is_reachable = false;
    let mut waiting = None;
    let end = started_at + limits::WAIT_BUDGET.time();
    while Instant::now() < end {
        match tier.acquire(request.clone()).await {
            LeaseAnswer::Busy(busy) => (request, is_reachable) = (busy, true),
            LeaseAnswer::Unavailable if is_reachable => is_reachable = false,
            // Another process computes, as far as is known.
            LeaseAnswer::Overloaded if waiting.is_some() => {}
            answer => return answer,
        }
        waiting.get_or_insert_with(Waiting::begin);
        watch = match watch {
            Some(watch) => wait_for_change(watch, end).await,
            None => {
                // After a watch was set, the next request finds what changed before that, so there is no pause.
                let set = tier.watch(&request).await;
                if set.is_none() {
                    let pause = if is_reachable { since.elapsed() / 100 } else { MAX_PAUSE };
                    let pause = pause.clamp(MIN_PAUSE, MAX_PAUSE).max(share_of_time());
                    sleep(jittered(pause.min(end.duration_since(Instant::now())))).await;
                }
                set
            }
        };
        flight.liveness.record_poll();
    }
    tier.acquire(request).await
}

/// Waits for a watch to end, at most about [`WATCH_TIMEOUT`], or longer if many calls wait; returns the watch if it has not ended.
///
/// Takes at least [`MIN_PAUSE`], so that watches that end often do not cause as many requests.
async fn wait_for_change<W: Future<Output = ()> + Unpin>(mut watch: W, end: Instant) -> Option<W> {
    let pause = WATCH_TIMEOUT.max(share_of_time()).min(end.duration_since(Instant::now()));
    let change = timeout(jittered(pause), &mut watch);
    let (changed, ()) = tokio::join!(change, sleep(MIN_PAUSE));
    changed.is_none().then_some(watch)
}

/// Returns the time in which each call that waits sends one request, if they keep [`MIN_INTERVAL`] together.
fn share_of_time() -> Duration {
    MIN_INTERVAL * WAITING.load(Ordering::Relaxed)
}

/// Returns a random duration between 3/4 and 5/4 of a pause, so that processes do not send requests in step.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + random::fraction() / 2.0)
}
