//! Rounds in which contenders take turns, so that ratios hold also on a busy machine.

/// The median of what was measured several times, or what was measured once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The median.
    pub median: f64,
    /// The first and the third quartile; `None` if there is no difference between them.
    pub quartiles: Option<(f64, f64)>,
}

impl From<f64> for Value {
    fn from(measured: f64) -> Self {
        Self { median: measured, quartiles: None }
    }
}

impl Value {
    /// Returns the median and the quartiles.
    ///
    /// # Panics
    ///
    /// If nothing was measured.
    #[must_use]
    pub fn of(mut measured: Vec<f64>) -> Self {
        measured.sort_by(f64::total_cmp);
        let quartile = |quarters: usize| measured[quarters * (measured.len() - 1) / 4];
        Self {
            median: quartile(2),
            quartiles: Some((quartile(1), quartile(3))).filter(|(first, third)| first < third),
        }
    }
}

/// Measures all contenders in each round; returns the ratios to the first one. `None` is a contender that does not take part.
pub fn ratios<C>(
    rounds: usize,
    contenders: &mut [C],
    measure: impl Fn(&mut C) -> Option<f64>,
) -> Vec<Option<Value>> {
    let mut ratios = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        let measured: Vec<Option<f64>> = contenders.iter_mut().map(&measure).collect();
        for (ratios, of_this) in ratios.iter_mut().zip(&measured) {
            ratios.extend(of_this.zip(measured[0]).map(|(of_this, floor)| of_this / floor));
        }
    }
    ratios.into_iter().map(|ratios| (!ratios.is_empty()).then(|| Value::of(ratios))).collect()
}
