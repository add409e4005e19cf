//! The task that extends the lease of a flight while its leader is alive.
//!
//! It is not part of the leader, whose body may keep its thread busy. It does not outlive the leader either: it is aborted
//! when the lease is taken from the flight, and ends when the leader is silent. Where every thread of the runtime is busy,
//! it cannot run, and the lease may expire.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::flight::Flight;
use super::liveness::{Expectation, HEARTBEAT_INTERVAL};
use crate::util::aborting::Aborting;
use crate::util::timer;

/// Starts the keeper of a flight that is to hold a lease; `extending` extends it until it is lost.
///
/// Returns when the keeper runs. A task that was only spawned could have to wait for the thread of its spawner, which the
/// body may keep busy.
pub(super) async fn start<K, S, H>(
    flight: &Arc<Flight<K, S, H>>,
    extending: impl Future<Output = ()> + Send + 'static,
) where
    K: Send + Sync + 'static,
    S: Send + Sync + 'static,
    H: Send + 'static,
{
    let Ok(runtime) = Handle::try_current() else { return };
    flight.liveness.record_poll();
    let (running, runs) = oneshot::channel();
    let kept = Arc::clone(flight);
    let keeper = async move {
        // Whether the leader is still there does not matter here.
        let _ = running.send(());
        tokio::select! {
            () = extending => return,
            () = until_silent(&kept) => {}
        }
        // A follower takes the lease over. Without one, other processes need not wait for its end.
        if kept.followers() == 0 {
            drop(kept.take_left_lease());
        }
    };
    flight.set_keeper(Aborting::new(runtime.spawn(keeper.instrument(Span::current()))));
    let _ = runs.await;
}

/// Waits until the leader of a flight is silent.
async fn until_silent<K, S, H>(flight: &Flight<K, S, H>) {
    loop {
        match flight.liveness.at(Instant::now()) {
            Expectation::Silent => return,
            Expectation::Overdue => timer::sleep(HEARTBEAT_INTERVAL).await,
            Expectation::Until(next_check) => {
                timer::sleep_until(next_check).await;
                // The whole process may have been suspended: then the leader gets the time to be polled again.
                if Instant::now() >= next_check + HEARTBEAT_INTERVAL {
                    timer::sleep(HEARTBEAT_INTERVAL).await;
                }
            }
        }
    }
}
