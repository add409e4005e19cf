//! The forms of values that several options share.

use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenTree};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Lit, Result, Token, UnOp};

use super::storage::once_for_all;
use super::{Amount, Opt, list, unknown};

/// A string that stands for a value.
pub(super) type Word<T> = (&'static str, T);

/// An option whose value comes next in the input.
pub(super) struct Written<'a> {
    pub(super) name: Ident,
    pub(super) example: &'static str,
    pub(super) input: ParseStream<'a>,
}

impl Written<'_> {
    pub(super) fn amount<T>(
        self,
        number: fn(u64) -> std::result::Result<T, String>,
        words: fn(&str) -> std::result::Result<T, String>,
    ) -> Result<Opt<Amount<T>>> {
        let expr = self.expr()?;
        let known = match literal(&expr) {
            None if is_negative(&expr) => Err(format!("this can not be negative; write `{}`", self.example)),
            None => {
                once_for_all(&expr)?;
                return Ok(self.is(expr.span(), Amount::Expr(expr)));
            }
            Some(Lit::Str(text)) => words(&text.value()),
            Some(Lit::Int(int)) if is_plain_integer(int.suffix()) => int
                .base10_parse::<u64>()
                .map_err(|_| "this is too large; write less".to_owned())
                .and_then(number),
            Some(lit @ (Lit::Int(_) | Lit::Float(_))) => {
                // `60s` is one token, but no literal of Rust.
                let text = lit.to_token_stream().to_string().replace('_', "");
                words(&text).and_then(|_| Err(format!("write this in quotes: `{} = \"{text}\"`", self.name)))
            }
            Some(_) => Err(format!("this is no amount; write `{}`", self.example)),
        };
        match known {
            Ok(known) => Ok(self.is(expr.span(), Amount::Known(known))),
            Err(message) => mistake(expr, message),
        }
    }

    /// One of a few strings.
    pub(super) fn word<T: Copy>(&self, expr: &Expr, words: &[Word<T>]) -> Result<T> {
        let all = || words.iter().map(|&(word, _)| word);
        if let Expr::Path(path) = expr
            && let Some(word) = all().find(|word| path.path.is_ident(word))
        {
            return mistake(expr, format!("write this in quotes: `{} = \"{word}\"`", self.name));
        }
        let Some(Lit::Str(text)) = literal(expr) else {
            return mistake(expr, format!("write one of {}", list(all(), "`\"", "\"`", "or")));
        };
        let word = text.value();
        match words.iter().find(|(name, _)| *name == word) {
            Some(&(_, value)) => Ok(value),
            None => mistake(text, unknown(&self.name, &word, all(), "`\"")),
        }
    }

    pub(super) fn expr(&self) -> Result<Expr> {
        self.equals()?.parse().map_err(|e| self.explain(&e))
    }

    pub(super) fn equals(&self) -> Result<ParseStream<'_>> {
        let (name, example, input) = (&self.name, self.example, self.input);
        if ended(input) {
            return mistake(name, format!("`{name}` needs a value; write `{example}`"));
        }
        if !input.peek(Token![=]) || input.peek(Token![==]) || input.peek(Token![=>]) {
            return Err(input.error(format!("expected `=`; write `{example}`")));
        }
        let equals = input.parse::<Token![=]>()?;
        if ended(input) {
            return mistake(equals, format!("`{name}` needs a value; write `{example}`"));
        }
        Ok(input)
    }

    pub(super) fn explain(&self, error: &Error) -> Error {
        Error::new(error.span(), format!("{error}; write it as `{}`", self.example))
    }

    pub(super) fn is<T>(self, span: Span, value: T) -> Opt<T> {
        Opt { name: self.name, value, span }
    }
}

/// The literal that an expression is, also if it comes out of a `macro_rules!`.
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

pub(super) fn is_one_of<const N: usize>(expr: &Expr, words: [&str; N]) -> bool {
    matches!(expr, Expr::Path(path) if words.iter().any(|word| path.path.is_ident(word)))
}

pub(super) fn is_plain_integer(suffix: &str) -> bool {
    let (kind, bits) = suffix.split_at(usize::from(!suffix.is_empty() && suffix.is_char_boundary(1)));
    matches!((kind, bits), ("", "") | ("u" | "i", "8" | "16" | "32" | "64" | "128" | "size"))
}

pub(super) fn ended(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

pub(super) fn skip_until(input: ParseStream<'_>, found: impl Fn(ParseStream<'_>) -> bool) {
    while !input.is_empty() && !found(input) && input.parse::<TokenTree>().is_ok() {}
}

pub(super) fn mistake<T>(tokens: impl ToTokens, message: impl Display) -> Result<T> {
    Err(Error::new_spanned(tokens, message))
}
