//! Forms of values that several options share.

use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenTree};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{BinOp, Error, Expr, Lit, LitInt, Result, Token, UnOp};

use super::elsewhere;
use super::nearest::{list, unknown_value};
use super::storage::check_static;
use super::{Amount, Opt};

/// A string literal with the value it stands for.
pub(super) type Keyword<T> = (&'static str, T);

/// An option whose name was parsed and whose value is next in the input.
pub(super) struct OptionInput<'a> {
    pub(super) name: Ident,
    pub(super) example: &'static str,
    pub(super) input: ParseStream<'a>,
}

impl OptionInput<'_> {
    /// Parses an integer, a string with a unit, or any other expression.
    pub(super) fn amount<T>(
        self,
        from_number: fn(u64) -> std::result::Result<T, String>,
        from_str: fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Opt<Amount<T>>> {
        let expr = self.expr()?;
        let known = match literal(&expr) {
            None if is_negative(&expr) => Err(format!("this cannot be negative; write `{}`", self.example)),
            None => match evaluate(&expr) {
                Some(number) => number.and_then(from_number),
                None => {
                    check_static(&expr)?;
                    return Ok(self.finish(expr.span(), Amount::Expr(expr)));
                }
            },
            Some(Lit::Str(string)) => from_str(&string.value()),
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => integer(int).and_then(from_number),
            Some(lit @ (Lit::Int(_) | Lit::Float(_))) => {
                // `60s` is one token, but not a valid literal.
                let string = lit.to_token_stream().to_string().replace('_', "");
                from_str(&string)
                    .and_then(|_| Err(format!("write this in quotes: `{} = \"{string}\"`", self.name)))
            }
            Some(_) => Err(format!("expected a number, a string or an expression; write `{}`", self.example)),
        };
        match known {
            Ok(known) => Ok(self.finish(expr.span(), Amount::Known(known))),
            Err(message) => fail(expr, message),
        }
    }

    /// Returns the value of one of the keywords.
    pub(super) fn keyword<T: Copy>(&self, expr: &Expr, keywords: &[Keyword<T>]) -> Result<T> {
        let all = || keywords.iter().map(|&(keyword, _)| keyword);
        if let Expr::Path(path) = expr
            && let Some(keyword) = all().find(|keyword| path.path.is_ident(keyword))
        {
            return fail(expr, format!("write this in quotes: `{} = \"{keyword}\"`", self.name));
        }
        let Some(Lit::Str(string)) = literal(expr) else {
            return fail(expr, format!("write one of {}", list(all(), "`\"", "\"`", "or")));
        };
        let value = string.value();
        match keywords.iter().find(|(keyword, _)| *keyword == value) {
            Some(&(_, value)) => Ok(value),
            None => {
                let advice = if self.name == "backend" { elsewhere::backend(&value) } else { None };
                fail(string, unknown_value(&self.name, &value, all(), advice))
            }
        }
    }

    /// Parses `= EXPR`. The error for half an expression is at what there is of it.
    pub(super) fn expr(&self) -> Result<Expr> {
        let input = self.equals()?;
        let rest = input.fork();
        input.parse().map_err(|error| {
            let error = self.with_example(&error);
            if !input.is_empty() {
                return error;
            }
            let last = std::iter::from_fn(|| rest.parse::<TokenTree>().ok()).last();
            Error::new(last.map_or(self.name.span(), |last| last.span()), error)
        })
    }

    /// Parses `=` and returns the input of the value.
    pub(super) fn equals(&self) -> Result<ParseStream<'_>> {
        let (name, example, input) = (&self.name, self.example, self.input);
        if at_end(input) {
            return fail(name, format!("`{name}` needs a value; write `{example}`"));
        }
        if !input.peek(Token![=]) || input.peek(Token![==]) || input.peek(Token![=>]) {
            return Err(input.error(format!("expected `=`; write `{example}`")));
        }
        let equals = input.parse::<Token![=]>()?;
        if at_end(input) {
            return fail(equals, format!("`{name}` needs a value; write `{example}`"));
        }
        Ok(input)
    }

    /// Appends the example of the option to an error of the parser.
    pub(super) fn with_example(&self, error: &Error) -> Error {
        Error::new(error.span(), format!("{error}; write `{}`", self.example))
    }

    pub(super) fn finish<T>(self, span: Span, value: T) -> Opt<T> {
        Opt { name: self.name, value, span }
    }
}

fn integer(int: &LitInt) -> std::result::Result<u64, String> {
    int.base10_parse().map_err(|_| "this is too large; write a smaller number".to_owned())
}

/// The value of an expression of integer literals: `5 * 60`. `None` for other expressions.
fn evaluate(expr: &Expr) -> Option<std::result::Result<u64, String>> {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(int) if is_plain_integer(int.suffix()) => Some(integer(int)),
            _ => None,
        },
        Expr::Group(group) => evaluate(&group.expr),
        Expr::Paren(paren) => evaluate(&paren.expr),
        Expr::Binary(binary) => {
            let operation: fn(u64, u64) -> Option<u64> = match binary.op {
                BinOp::Add(_) => u64::checked_add,
                BinOp::Sub(_) => u64::checked_sub,
                BinOp::Mul(_) => u64::checked_mul,
                BinOp::Div(_) => u64::checked_div,
                _ => return None,
            };
            let (left, right) = (evaluate(&binary.left)?, evaluate(&binary.right)?);
            Some(left.and_then(|left| {
                let overflow = || "this does not fit into a `u64`; write the number itself".to_owned();
                operation(left, right?).ok_or_else(overflow)
            }))
        }
        _ => None,
    }
}

/// The literal that an expression consists of, also if a `macro_rules!` macro substituted it.
pub(super) fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(lit) => Some(&lit.lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

fn is_negative(expr: &Expr) -> bool {
    match expr {
        Expr::Unary(unary) => matches!(unary.op, UnOp::Neg(_)) && literal(&unary.expr).is_some(),
        Expr::Group(group) => is_negative(&group.expr),
        _ => false,
    }
}

/// Returns `true` if the expression is a keyword without its quotes.
pub(super) fn is_keyword<T>(expr: &Expr, keywords: &[Keyword<T>]) -> bool {
    matches!(expr, Expr::Path(path) if keywords.iter().any(|(keyword, _)| path.path.is_ident(keyword)))
}

/// Returns `true` for a suffix that an integer literal can have.
pub(super) fn is_plain_integer(suffix: &str) -> bool {
    let (kind, bits) = suffix.split_at(usize::from(!suffix.is_empty() && suffix.is_char_boundary(1)));
    matches!((kind, bits), ("", "") | ("u" | "i", "8" | "16" | "32" | "64" | "128" | "size"))
}

/// Returns `true` at the end of an option.
pub(super) fn at_end(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

pub(super) fn skip_until(input: ParseStream<'_>, found: impl Fn(ParseStream<'_>) -> bool) {
    while !input.is_empty() && !found(input) && input.parse::<TokenTree>().is_ok() {}
}

pub(super) fn fail<T>(tokens: impl ToTokens, message: impl Display) -> Result<T> {
    Err(Error::new_spanned(tokens, message))
}
