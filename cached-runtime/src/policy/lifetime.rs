//! Durations of options: constants, or expressions that are evaluated whenever they are needed.

use std::fmt;
use std::time::Duration;

/// The value of an option such as `ttl = 60` or `ttl = CONFIG.ttl()`.
#[derive(Clone, Copy)]
pub(crate) enum Lifetime {
    Fixed(Duration),
    /// The expression of the user. It is not called under a lock.
    Evaluated(fn() -> Duration),
}

impl Lifetime {
    #[inline]
    pub(crate) fn get(self) -> Duration {
        match self {
            Self::Fixed(duration) => duration,
            Self::Evaluated(evaluate) => evaluate(),
        }
    }

    /// Returns `true` if it is zero whenever it is needed.
    pub(crate) const fn is_always_zero(self) -> bool {
        matches!(self, Self::Fixed(Duration::ZERO))
    }

    pub(crate) const fn is_evaluated(self) -> bool {
        matches!(self, Self::Evaluated(_))
    }
}

impl fmt::Debug for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
