//! How a call waits for another process that holds the lease of its key.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::flight::{Flight, LONGEST_WAIT};
use crate::shared::{HeldLease, LeaseAnswer, LeaseRequest, Tier};
use crate::util::random;

/// Asks for the lease until it is given, the key is filled, an attempt of another process has failed, or a call that
/// has `begun` then has waited too long.
///
/// Where the store can tell that the key may have changed, it is asked again then; in any case after a pause. One
/// failure of the store is passed over: a connection that was cut is no reason for all who wait to compute at once.
pub(crate) async fn acquire<K, V, S>(
    tier: &'static Tier<K, V>,
    mut lease_request: LeaseRequest,
    flight: &Flight<S, HeldLease>,
    begun: Instant,
) -> LeaseAnswer {
    let since = Instant::now();
    let mut watch = None;
    let mut is_reached = false;
    while begun.elapsed() < LONGEST_WAIT {
        match tier.acquire(lease_request.clone()).await {
            LeaseAnswer::Busy(busy) => (lease_request, is_reached) = (busy, true),
            LeaseAnswer::Unavailable if is_reached => is_reached = false,
            acquired => return acquired,
        }
        watch = match watch {
            Some(watch) => listen(watch).await,
            None => {
                let set = tier.watch(&lease_request).await;
                // What changed before it was set is seen by asking once more.
                if set.is_none() {
                    let pause = if is_reached { since.elapsed() / 100 } else { LONGEST };
                    sleep(jittered(pause.clamp(SHORTEST, LONGEST))).await;
                }
                set
            }
        };
        flight.beat();
    }
    tier.acquire(lease_request).await
}

/// Waits for a watch to end, but not for long; returns it if it has not.
///
/// However often it ends, the store is left alone for a moment.
async fn listen<W: Future<Output = ()> + Unpin>(mut watch: W) -> Option<W> {
    let listening = timeout(jittered(LISTEN), &mut watch);
    let (told, ()) = tokio::join!(listening, sleep(SHORTEST));
    told.is_err().then_some(watch)
}

/// Between two questions to a store that can not tell lies a hundredth of the time waited so far: an answer is noticed
/// soon in proportion. But no less than this, and no more than that.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(100);

/// A store that can tell is asked so often all the same, should it have missed something.
const LISTEN: Duration = Duration::from_millis(200);

/// Between three and five quarters of a pause, so that no two processes make the same ones.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + random::fraction() / 2.0)
}
