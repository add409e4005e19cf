//! The keys of the calls.

use std::sync::LazyLock;

/// An endless sequence of keys.
pub(crate) enum Keys {
    /// A thousand keys in turn.
    Thousand(u64),
    /// Each key once.
    New(u64),
    /// Zipf's law over 100 000 keys with the exponent 1; the entry of [`ZIPF`] that is next.
    Zipf(usize),
}

impl Iterator for Keys {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        Some(match self {
            Self::Thousand(next) => {
                *next = if *next == 999 { 0 } else { *next + 1 };
                *next
            }
            Self::New(next) => {
                *next += 1;
                *next
            }
            Self::Zipf(next) => {
                *next = (*next + 1) % ZIPF.len();
                ZIPF[*next]
            }
        })
    }
}

/// Keys that were drawn before, so that drawing costs no contender time.
static ZIPF: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=100_000_u32)
        .map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        })
        .collect();
    // xorshift64 (Marsaglia, 2003): the same keys in each run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut fraction = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..1 << 20)
        .map(|_| {
            let drawn = fraction() * sum;
            sums.partition_point(|below| *below < drawn)
        } as u64)
        .collect()
});
