//! The options that say what makes the key.

use std::collections::HashSet;

use proc_macro2::Ident;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Result, Token, parenthesized, token};

use super::Opt;
use super::syntax::{Written, ended, literal, mistake, skip_until};

impl Written<'_> {
    pub(super) fn key(self) -> Result<Opt<Vec<Expr>>> {
        let expr = self.expr()?;
        let span = expr.span();
        let parts = match expr {
            Expr::Tuple(tuple) => tuple.elems.into_iter().collect(),
            Expr::Paren(paren) => vec![*paren.expr],
            expr if literal(&expr).is_some() => {
                return mistake(
                    expr,
                    format!("all calls would share this key; write what they differ in: `{}`", self.example),
                );
            }
            expr => vec![expr],
        };
        Ok(self.is(span, parts))
    }

    pub(super) fn names(self) -> Result<Opt<Vec<Ident>>> {
        let input = self.input;
        if !input.peek(token::Paren) {
            let message = format!("name the parameters to leave out in parentheses: `{}`", self.example);
            return if ended(input) { mistake(&self.name, message) } else { Err(input.error(message)) };
        }
        let span = input.span();
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return mistake(&self.name, format!("`skip()` leaves nothing out; write `{}`", self.example));
        }

        let (mut names, mut seen) = (Vec::new(), HashSet::new());
        let mut wrong: Option<Error> = None;
        while !content.is_empty() {
            let found = match content.call(Ident::parse_any) {
                Ok(name) if !(content.is_empty() || content.peek(Token![,])) => {
                    Err(content.error(format!("`skip` takes names only; write `skip({name})`")))
                }
                Ok(name) if !seen.insert(name.clone()) => mistake(&name, format!("`{name}` is named twice")),
                Ok(name) => Ok(name),
                Err(_) => Err(content.error(format!("`skip` takes names only; write `{}`", self.example))),
            };
            match (found, &mut wrong) {
                (Ok(name), _) => names.push(name),
                (Err(mistake), Some(wrong)) => wrong.combine(mistake),
                (Err(mistake), None) => wrong = Some(mistake),
            }
            skip_until(&content, |content| content.peek(Token![,]));
            let _ = content.parse::<Token![,]>();
        }
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.is(span, names)),
        }
    }
}
