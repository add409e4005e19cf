//! The options that are a length of time or a part of one.

use std::time::Duration;

use syn::spanned::Spanned as _;
use syn::{Error, Lit, Result};

use super::syntax::{Written, ended, is_plain_integer, literal, mistake};
use super::{Amount, Opt, amount, at_option};

/// In which part of a lifetime a value is refreshed ahead, if none is written.
pub(super) const LAST_FIFTH: f32 = 0.2;

/// What is said of no time at all.
pub(super) const NEVER_FRESH: &str =
    "a value that is fresh for no time is never found again; write at least `\"1ms\"`";
pub(super) const NEVER_STALE: &str =
    "no time is what there is without this option; leave it out, or write at least `\"1ms\"`";
pub(super) const NEVER_DONE: &str =
    "nothing is done in no time; write at least `\"1ms\"`, or leave this option out";

impl Written<'_> {
    /// A length of time; `none` is what to say of none at all.
    pub(super) fn time(self, none: &str) -> Result<Opt<Amount<Duration>>> {
        let time = self.amount(seconds, amount::time)?;
        match time.value {
            Amount::Known(Duration::ZERO) => Err(Error::new(time.span, none)),
            _ => Ok(time),
        }
    }

    /// A part of a whole, or the usual one if none is written.
    pub(super) fn fraction_or(self, usual: f32) -> Result<Opt<f32>> {
        if ended(self.input) || at_option(self.input) {
            let span = self.name.span();
            return Ok(self.is(span, usual));
        }
        let fraction = self.fraction()?;
        if fraction.value == 0.0 {
            return Err(Error::new(fraction.span, format!("leave `{}` out to switch it off", fraction.name)));
        }
        Ok(fraction)
    }

    pub(super) fn fraction(self) -> Result<Opt<f32>> {
        let expr = self.expr()?;
        let fraction = match literal(&expr) {
            Some(Lit::Float(float)) => float.base10_parse::<f32>().ok(),
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => int.base10_parse::<f32>().ok(),
            _ => None,
        };
        match fraction.filter(|fraction| (0.0..=1.0).contains(fraction)) {
            Some(fraction) => Ok(self.is(expr.span(), fraction)),
            None => {
                let example = self.example;
                mistake(expr, format!("write a part of the lifetime, from 0 to 1, as a number: `{example}`"))
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
