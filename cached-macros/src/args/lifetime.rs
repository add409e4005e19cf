//! Options that are a duration, or a fraction of a lifetime.

use std::time::Duration;

use syn::spanned::Spanned as _;
use syn::{Error, Lit, Result};

use super::syntax::{OptionInput, at_end, fail, is_plain_integer, literal};
use super::{Amount, Opt, amount, at_option};

/// The fraction of the lifetime in which a value is refreshed ahead, by default.
pub(super) const DEFAULT_REFRESH_AHEAD: f32 = 0.2;

/// The errors for a duration of zero.
pub(super) const ZERO_TTL: &str =
    "a value with a lifetime of zero is never served from the cache; write at least `\"1ms\"`";
pub(super) const ZERO_STALE: &str =
    "zero is the same as leaving this option out; leave it out, or write at least `\"1ms\"`";
pub(super) const ZERO_TIMEOUT: &str =
    "a timeout of zero fails every computation; write at least `\"1ms\"`, or leave this option out";

impl OptionInput<'_> {
    /// Parses a duration; `zero` is the error for a duration of zero.
    pub(super) fn duration(self, zero: &str) -> Result<Opt<Amount<Duration>>> {
        let duration = self.amount(seconds, amount::duration)?;
        match duration.value {
            Amount::Known(Duration::ZERO) => Err(Error::new(duration.span, zero)),
            _ => Ok(duration),
        }
    }

    /// Parses a fraction greater than zero, or takes the default if the option has no value.
    pub(super) fn fraction_or(self, default: f32) -> Result<Opt<f32>> {
        if at_end(self.input) || at_option(self.input) {
            let span = self.name.span();
            return Ok(self.finish(span, default));
        }
        let fraction = self.fraction()?;
        if fraction.value == 0.0 {
            return Err(Error::new(fraction.span, format!("leave `{}` out to disable it", fraction.name)));
        }
        Ok(fraction)
    }

    /// Parses a number from 0 to 1.
    pub(super) fn fraction(self) -> Result<Opt<f32>> {
        let expr = self.expr()?;
        let fraction = match literal(&expr) {
            Some(Lit::Float(float)) => float.base10_parse::<f32>().ok(),
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => int.base10_parse::<f32>().ok(),
            _ => None,
        };
        match fraction.filter(|fraction| (0.0..=1.0).contains(fraction)) {
            Some(fraction) => Ok(self.finish(expr.span(), fraction)),
            None => {
                let example = self.example;
                fail(expr, format!("write a fraction of the lifetime as a literal from 0 to 1: `{example}`"))
            }
        }
    }
}

fn seconds(number: u64) -> std::result::Result<Duration, String> {
    match number {
        0..=18_446_744_073 => Ok(Duration::from_secs(number)),
        _ => Err(amount::too_long()),
    }
}
