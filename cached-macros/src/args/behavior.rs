//! Options that change how a call runs, and the forms they share: functions, flags and paths.

use proc_macro2::Ident;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Lit, Path, Result, Token};

use super::syntax::{Keyword, OptionInput, at_end, fail, is_keyword, literal};
use super::{Opt, at_option};

/// How many computations of one key may run at a time.
#[derive(Clone, Copy)]
pub(crate) enum SingleFlight {
    /// One in all processes that share the store.
    Fleet,
    /// One in each process.
    Process,
    /// Any number.
    Off,
}

const SINGLE_FLIGHTS: [Keyword<SingleFlight>; 3] =
    [("fleet", SingleFlight::Fleet), ("process", SingleFlight::Process), ("off", SingleFlight::Off)];

/// What a computation in a task of its own does when its last caller leaves.
#[derive(Clone, Copy)]
pub(crate) enum Detached {
    GoesOn,
    WhileAwaited,
}

const DETACHED: [Keyword<Detached>; 1] = [("while_awaited", Detached::WhileAwaited)];

/// How the error of a computation is given to the calls that wait for it.
pub(crate) enum ShareErr {
    /// It is not.
    Off,
    /// By a function of the error that returns another one.
    Function(Expr),
}

const SHARE_ERRS: [Keyword<()>; 1] = [("off", ())];

/// Checks a number of computations.
pub(super) fn places(number: u64) -> std::result::Result<u64, String> {
    if number == 0 {
        Err("without a computation there is no value; write at least 1".to_owned())
    } else {
        Ok(number)
    }
}

pub(super) fn places_from_str<T>(_: &str) -> std::result::Result<T, String> {
    Err("this is a number of computations; write `max_concurrent = 16`".to_owned())
}

/// Returns `false` for an expression that cannot be a function, such as `value > 5`.
fn may_be_function(expr: &Expr) -> bool {
    match expr {
        Expr::Group(group) => may_be_function(&group.expr),
        Expr::Paren(paren) => may_be_function(&paren.expr),
        _ => !matches!(
            expr,
            Expr::Lit(_)
                | Expr::Binary(_)
                | Expr::Unary(_)
                | Expr::Range(_)
                | Expr::Tuple(_)
                | Expr::Array(_)
        ),
    }
}

impl OptionInput<'_> {
    /// Parses an expression that is a function of the value.
    pub(super) fn function(self) -> Result<Opt<Expr>> {
        let expr = self.expr()?;
        if !may_be_function(&expr) {
            let arguments = if self.name == "weigh" { "the key and the value" } else { "the value" };
            return fail(
                expr,
                format!("`{}` takes a function of {arguments}; write `{}`", self.name, self.example),
            );
        }
        Ok(self.finish(expr.span(), expr))
    }

    pub(super) fn single_flight(self) -> Result<Opt<SingleFlight>> {
        let expr = self.expr()?;
        let single_flight = self.keyword(&expr, &SINGLE_FLIGHTS)?;
        Ok(self.finish(expr.span(), single_flight))
    }

    pub(super) fn share_err(self) -> Result<Opt<ShareErr>> {
        let expr = self.expr()?;
        if literal(&expr).is_none() && !is_keyword(&expr, &SHARE_ERRS) {
            return Ok(self.finish(expr.span(), ShareErr::Function(expr)));
        }
        let is_off = matches!(literal(&expr), Some(Lit::Str(string)) if string.value() == "off");
        if literal(&expr).is_some() && !is_off {
            return fail(
                expr,
                format!("`share_err` takes a function of the error, or `\"off\"`; write `{}`", self.example),
            );
        }
        self.keyword(&expr, &SHARE_ERRS)?;
        Ok(self.finish(expr.span(), ShareErr::Off))
    }

    /// Parses `detached`, alone or with a value.
    pub(super) fn detached(self) -> Result<Opt<Detached>> {
        let is_flag = at_end(self.input) || !self.input.peek(Token![=]) || self.input.peek2(syn::LitBool);
        if is_flag {
            let Opt { name, span, value: () } = self.flag()?;
            return Ok(Opt { name, value: Detached::GoesOn, span });
        }
        let expr = self.expr()?;
        let detached = self.keyword(&expr, &DETACHED)?;
        Ok(self.finish(expr.span(), detached))
    }

    /// Parses an option that has no value.
    pub(super) fn flag(self) -> Result<Opt<()>> {
        if at_end(self.input) || at_option(self.input) {
            let span = self.name.span();
            return Ok(self.finish(span, ()));
        }
        let is_false = self.input.peek(Token![=]) && self.input.peek2(syn::LitBool) && {
            let ahead = self.input.fork();
            ahead.parse::<Token![=]>().is_ok() && ahead.parse().is_ok_and(|lit: syn::LitBool| !lit.value())
        };
        let name = &self.name;
        Err(self.input.error(if is_false {
            format!("leave `{name}` out to disable it")
        } else {
            format!("`{name}` takes no value; write `{name}` alone")
        }))
    }

    /// Parses the name of a type.
    pub(super) fn type_name(self) -> Result<Opt<Ident>> {
        let input = self.equals()?;
        let span = input.span();
        let name = input.parse::<Ident>();
        match name {
            Ok(name) if at_end(input) => Ok(self.finish(span, name)),
            _ => Err(Error::new(span, format!("expected the name of a new type; write `{}`", self.example))),
        }
    }

    pub(super) fn path(self) -> Result<Opt<Path>> {
        let input = self.equals()?;
        if input.peek(Lit) {
            return Err(input.error(format!("expected a path; write it without quotes: `{}`", self.example)));
        }
        let span = input.span();
        let path = input.call(Path::parse_mod_style).map_err(|e| self.with_example(&e))?;
        Ok(self.finish(span, path))
    }
}
