//! Options that define the key: `key` and `skip`.

use std::collections::HashSet;

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::parse::discouraged::Speculative as _;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Result, Token, parenthesized, token};

use super::syntax::{OptionInput, at_end, fail, literal, skip_until};
use super::{Args, Opt, is_option};

impl Args {
    /// The key that was meant by `key = id, lang`, if `name` is the `lang` in it. Consumes all such names.
    pub(super) fn key_without_parentheses(&self, name: &Ident, input: ParseStream<'_>) -> Option<String> {
        let key = self.key.as_ref().filter(|key| self.parsed.last() == Some(&key.name) && at_end(input))?;
        let mut parts: Vec<String> = key.value.iter().map(part_name).collect::<Option<_>>()?;
        parts.push(name.to_string());
        loop {
            let ahead = input.fork();
            let _ = ahead.parse::<Token![,]>();
            match ahead.call(Ident::parse_any) {
                Ok(name) if at_end(&ahead) && !is_option(&name) => {
                    input.advance_to(&ahead);
                    parts.push(name.to_string());
                }
                _ => return Some(format!("key = ({})", parts.join(", "))),
            }
        }
    }
}

/// The source of an expression such as `id` and `self.id`.
fn part_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Path(path) => path.path.get_ident().map(Ident::to_string),
        Expr::Field(field) => {
            let member = field.member.to_token_stream();
            Some(format!("{}.{member}", part_name(&field.base)?))
        }
        _ => None,
    }
}

impl OptionInput<'_> {
    /// Parses the parts of `key = (...)`; one expression is a key of one part.
    pub(super) fn key(self) -> Result<Opt<Vec<Expr>>> {
        let expr = self.expr()?;
        let span = expr.span();
        let parts = match expr {
            Expr::Tuple(tuple) => tuple.elems.into_iter().collect(),
            Expr::Paren(paren) => vec![*paren.expr],
            expr if literal(&expr).is_some() => {
                return fail(
                    expr,
                    format!(
                        "all calls would share this key; write expressions of the arguments: `{}`",
                        self.example
                    ),
                );
            }
            expr => vec![expr],
        };
        Ok(self.finish(span, parts))
    }

    /// Parses the names in `skip(...)`.
    pub(super) fn skip(self) -> Result<Opt<Vec<Ident>>> {
        let input = self.input;
        if !input.peek(token::Paren) {
            let message =
                format!("list the parameters to leave out of the key in parentheses: `{}`", self.example);
            return if at_end(input) { fail(&self.name, message) } else { Err(input.error(message)) };
        }
        let span = input.span();
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return fail(&self.name, format!("`skip()` leaves no parameter out; write `{}`", self.example));
        }

        let (mut names, mut seen) = (Vec::new(), HashSet::new());
        let mut errors: Option<Error> = None;
        while !content.is_empty() {
            let found = match content.call(Ident::parse_any) {
                Ok(name) if !(content.is_empty() || content.peek(Token![,])) => {
                    Err(content.error(format!("`skip` takes names of parameters only; write `skip({name})`")))
                }
                Ok(name) if !seen.insert(name.clone()) => {
                    fail(&name, format!("`{name}` is listed twice; remove one of them"))
                }
                Ok(name) => Ok(name),
                Err(_) => {
                    Err(content
                        .error(format!("`skip` takes names of parameters only; write `{}`", self.example)))
                }
            };
            match (found, &mut errors) {
                (Ok(name), _) => names.push(name),
                (Err(error), Some(errors)) => errors.combine(error),
                (Err(error), None) => errors = Some(error),
            }
            skip_until(&content, |content| content.peek(Token![,]));
            let _ = content.parse::<Token![,]>();
        }
        match errors {
            Some(errors) => Err(errors),
            None => Ok(self.finish(span, names)),
        }
    }
}
