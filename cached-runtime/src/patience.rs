//! How a call waits for another process that holds the lease of its key.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::flight::{Flight, LONGEST_WAIT};
use crate::tier::{Acquiring, Held, Tier, Vacant};

/// Asks for the lease until it is given, or the key is filled, or a call that has `begun` then waits too long.
///
/// The pauses grow, and no two processes make the same ones.
pub(crate) async fn acquire<K, V, S>(
    tier: &'static Tier<K, V>,
    mut vacant: Vacant,
    flight: &Flight<S, Held>,
    begun: Instant,
) -> Acquiring {
    let mut pause = FIRST_PAUSE;
    loop {
        vacant = match tier.acquire(vacant).await {
            Acquiring::Busy(vacant) if begun.elapsed() < LONGEST_WAIT => vacant,
            acquired => return acquired,
        };
        tokio::time::sleep(jittered(pause)).await;
        flight.beat();
        let longest = if begun.elapsed() < SOON { LONGEST_PAUSE_SOON } else { LONGEST_PAUSE_LATER };
        pause = (pause * 3 / 2).min(longest);
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// While most computations end, an answer is noticed within this.
const LONGEST_PAUSE_SOON: Duration = Duration::from_millis(15);
const SOON: Duration = Duration::from_secs(2);
const LONGEST_PAUSE_LATER: Duration = Duration::from_millis(100);

/// Between three and five quarters of a pause.
fn jittered(pause: Duration) -> Duration {
    let random = u32::try_from(RandomState::new().hash_one(0_u8) % 512).unwrap_or_default();
    pause * 3 / 4 + pause * random / 1_024
}
