//! The delays between attempts to connect.

use std::time::Duration;

use crate::util::random::random;

/// Exponential backoff: doubled from 10 ms to 500 ms. Each delay is shortened at random by up to a half
/// (jitter), so that the processes do not reconnect at the same time.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Returns the delay before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let longest = MIN_DELAY.saturating_mul(1 << self.failures.min(16)).min(MAX_DELAY);
        self.failures = self.failures.saturating_add(1);
        let part = 512 + (random() % 513) as u32;
        longest * part / 1024
    }
}

const MIN_DELAY: Duration = Duration::from_millis(10);
pub(super) const MAX_DELAY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_are_bounded() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(delays[0] >= MIN_DELAY / 2 && delays[0] <= MIN_DELAY);
        assert!(delays[10..].iter().all(|&delay| delay >= MAX_DELAY / 2 && delay <= MAX_DELAY));
    }
}
