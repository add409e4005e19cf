//! The options that say how a call behaves.

use syn::spanned::Spanned as _;
use syn::{Expr, Lit, Path, Result, Token};

use super::Opt;
use super::at_option;
use super::syntax::{Word, Written, ended, literal, mistake};

/// How many computations of one key may run.
#[derive(Clone, Copy)]
pub(crate) enum SingleFlight {
    Fleet,
    Process,
    Off,
}

const SINGLE_FLIGHTS: [Word<SingleFlight>; 3] =
    [("fleet", SingleFlight::Fleet), ("process", SingleFlight::Process), ("off", SingleFlight::Off)];

impl Written<'_> {
    pub(super) fn function(self) -> Result<Opt<Expr>> {
        let expr = self.expr()?;
        if literal(&expr).is_some() {
            return mistake(
                expr,
                format!("`{}` is a function of the value; write `{}`", self.name, self.example),
            );
        }
        Ok(self.is(expr.span(), expr))
    }

    pub(super) fn single_flight(self) -> Result<Opt<SingleFlight>> {
        let expr = self.expr()?;
        let single_flight = self.word(&expr, &SINGLE_FLIGHTS)?;
        Ok(self.is(expr.span(), single_flight))
    }

    pub(super) fn bare(self) -> Result<Opt<()>> {
        if ended(self.input) || at_option(self.input) {
            let span = self.name.span();
            return Ok(self.is(span, ()));
        }
        let off = self.input.peek(Token![=]) && self.input.peek2(syn::LitBool) && {
            let ahead = self.input.fork();
            ahead.parse::<Token![=]>().is_ok() && ahead.parse().is_ok_and(|lit: syn::LitBool| !lit.value())
        };
        let name = &self.name;
        Err(self.input.error(if off {
            format!("leave `{name}` out to switch it off")
        } else {
            format!("write `{name}` alone, without a value")
        }))
    }

    pub(super) fn path(self) -> Result<Opt<Path>> {
        let input = self.equals()?;
        if input.peek(Lit) {
            return Err(input.error(format!("write the path itself, without quotes: `{}`", self.example)));
        }
        let span = input.span();
        let path = input.call(Path::parse_mod_style).map_err(|e| self.explain(&e))?;
        Ok(self.is(span, path))
    }
}
