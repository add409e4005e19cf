//! How often the expired entries of a map are removed.
//!
//! Each pass visits all entries of a map. There is no index by time, which would keep every key a second time; instead
//! passes are rare where they find little. All maps of the process share one allowance of visits per second: that
//! bounds the time that passes take, whatever is held. A pass that finds much is not charged for it: its cost is in
//! proportion to what has expired, and so to what was stored.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::util::Moment;

/// One visit of all maps for each of these: 125 000 a second, which take less than a hundredth of a core.
const PER_ENTRY: Duration = Duration::from_micros(8);
/// How many visits the beginning of a pass counts for.
const PER_PASS: u64 = 64;
/// A pass is not charged if one of so many entries has expired: to remove an entry takes as long as to visit so many.
const PAID_BY_EXPIRED: u64 = 4;
/// Entries that expire shortly after one another are removed together.
const MIN_PAUSE: Duration = Duration::from_millis(50);
/// How far a pass looks ahead, in powers of two of a millisecond: half a minute.
const SLOTS: usize = 16;

/// The visits that one pass over every map in the process takes.
static ALL_MAPS: AtomicU64 = AtomicU64::new(0);

/// The pace of the passes over one map.
#[derive(Debug)]
pub(super) struct Pace {
    /// The part of [`ALL_MAPS`] that is of this map.
    visits: u64,
    pause: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        ALL_MAPS.fetch_add(PER_PASS, Relaxed);
        Self { visits: PER_PASS, pause: MIN_PAUSE }
    }

    /// Returns the time from the last pass to the next one, at least.
    pub(super) const fn pause(&self) -> Duration {
        self.pause
    }

    /// Takes a finished pass into account.
    pub(super) fn record(&mut self, pass: &Pass) {
        let visits = pass.kept + PER_PASS;
        let before = ALL_MAPS.fetch_add(visits.wrapping_sub(self.visits), Relaxed);
        let all = before.wrapping_add(visits).wrapping_sub(self.visits);
        self.visits = visits;
        self.pause = pass.pause(full_pause(all)).max(MIN_PAUSE);
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        ALL_MAPS.fetch_sub(self.visits, Relaxed);
    }
}

/// Returns the time between two passes that find nothing.
fn full_pause(visits: u64) -> Duration {
    PER_ENTRY.saturating_mul(u32::try_from(visits).unwrap_or(u32::MAX))
}

/// What a pass over one map has found.
#[derive(Debug)]
pub(super) struct Pass {
    began_at: Moment,
    kept: u64,
    expired: u64,
    next_expiry: Option<Moment>,
    /// How many entries will expire within 1 ms of the beginning of the pass, between 1 and 2 ms, between 2 and 4 ms, ...
    soon: [u64; SLOTS],
}

impl Pass {
    pub(super) const fn new(began_at: Moment) -> Self {
        Self { began_at, kept: 0, expired: 0, next_expiry: None, soon: [0; SLOTS] }
    }

    pub(super) const fn began_at(&self) -> Moment {
        self.began_at
    }

    /// Returns when the next entry expires, of those that were kept.
    pub(super) const fn next_expiry(&self) -> Option<Moment> {
        self.next_expiry
    }

    /// Counts an entry that expires at this time; returns `true` if it has expired.
    pub(super) fn visit(&mut self, expires_at: Moment) -> bool {
        if expires_at <= self.began_at {
            self.expired += 1;
            return true;
        }
        self.kept += 1;
        self.next_expiry = Some(self.next_expiry.map_or(expires_at, |next| next.min(expires_at)));
        let millis = u64::try_from(expires_at.since(self.began_at).as_millis()).unwrap_or(u64::MAX);
        let slot = (u64::BITS - millis.leading_zeros()) as usize;
        if let Some(count) = self.soon.get_mut(slot) {
            *count += 1;
        }
        false
    }

    /// Returns the time until the next pass, if it is `full` where nothing expires: sooner by as much as this pass was
    /// worth, and when enough entries will have expired for the next one to be worth it.
    fn pause(&self, full: Duration) -> Duration {
        let visits = self.kept + self.expired + PER_PASS;
        let unpaid = |expired: u64| {
            let paid = expired.saturating_mul(PAID_BY_EXPIRED).min(visits);
            let nanos = full.as_nanos() * u128::from(visits - paid) / u128::from(visits);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let mut expired = 0;
        for (slot, count) in (0..).zip(self.soon) {
            expired += count;
            let wait = Duration::from_millis(1 << slot);
            if unpaid(expired) <= wait {
                return wait.min(unpaid(self.expired));
            }
        }
        unpaid(self.expired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pass(expire_after: impl IntoIterator<Item = Duration>) -> Pass {
        let mut pass = Pass::new(Moment::now());
        for lifetime in expire_after {
            pass.visit(pass.began_at.after(lifetime));
        }
        pass
    }

    #[test]
    fn pass_that_finds_nothing_is_followed_by_a_full_pause() {
        assert_eq!(pass([3_600 * SECOND; 1_000]).pause(8 * SECOND), 8 * SECOND);
        assert!(pass([]).pause(8 * SECOND) <= 8 * SECOND);
    }

    #[test]
    fn pass_that_finds_much_is_not_charged() {
        let found = |expired, kept| {
            pass(
                [Duration::ZERO; 1_000]
                    .into_iter()
                    .take(expired)
                    .chain([3_600 * SECOND; 1_000].into_iter().take(kept)),
            )
        };
        assert_eq!(found(1_000, 1_000).pause(8 * SECOND), Duration::ZERO);
        let tenth = found(100, 900).pause(8 * SECOND);
        assert!(tenth > 4 * SECOND && tenth < 6 * SECOND, "{tenth:?}");
    }

    #[test]
    fn pass_is_made_when_much_will_have_expired() {
        // A thousand entries that expire within two seconds, and a thousand that do not.
        let soon = pass((0..1_000).map(|n| n * SECOND / 500).chain([3_600 * SECOND; 1_000]));
        let pause = soon.pause(8 * SECOND);
        assert!(pause >= SECOND && pause <= 2 * SECOND + SECOND / 10, "{pause:?}");
    }

    #[test]
    fn maps_share_one_allowance() {
        let (mut first, mut second) = (Pace::new(), Pace::new());
        let quiet = pass(std::iter::repeat_n(3_600 * SECOND, 50_000));
        first.record(&quiet);
        let alone = first.pause();
        second.record(&quiet);
        first.record(&quiet);
        assert!(first.pause() >= alone + 50_000 * PER_ENTRY, "{alone:?}, {:?}", first.pause());
        drop(second);
        first.record(&quiet);
        assert!(first.pause() < alone + 50_000 * PER_ENTRY);
    }
}
