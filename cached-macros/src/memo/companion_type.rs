//! Checks that the type with the companions of a free function is not in the way of another name.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens as _;

use super::Companions;
use crate::args::Args;
use crate::errors::Errors;
use crate::item::{Body, FnItem};

pub(super) fn check(item: &FnItem, companions: Companions, args: &Args, errors: &mut Errors) {
    match (&args.companions, companions) {
        (None, Companions::Type) => check_crate_name(item, args, errors),
        (Some(_), Companions::Type) | (None, _) => {}
        (Some(option), Companions::Method) => errors.push(
            &option.name,
            "the companions of a method are beside it, as `Type::find_cache()`; leave `companions` out",
        ),
        (Some(option), Companions::TraitImpl | Companions::None) => errors.push(
            &option.name,
            "the companions of the methods of a trait are in one type; write `#[async_cached(companions = Name)]` on \
             the `impl`",
        ),
    }
}

/// Rejects a function with the name of a crate or a module that it uses: its companion type shadows it.
fn check_crate_name(item: &FnItem, args: &Args, errors: &mut Errors) {
    let name = &item.sig.ident;
    let body = match &item.body {
        Some(Body::Async(body)) => body.to_token_stream(),
        _ => TokenStream::new(),
    };
    let tokens: TokenStream = [args.tokens.clone(), item.sig.to_token_stream(), body].into_iter().collect();
    if let Some(shadowed) = path_through(&tokens, name).filter(|_| !declares(&tokens, name)) {
        errors.push(
            shadowed,
            format!(
                "`{name}` is the type with the companions of this function here; write `::{name}` for the crate, or give \
                 the type another name with `companions = Name`"
            ),
        );
    }
}

/// The `name` in a path `name::Type` or `name::module::item`. In `name::invalidate` it is the type with the companions.
fn path_through(tokens: &TokenStream, name: &Ident) -> Option<Ident> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let is_colon =
        |index: usize| matches!(tokens.get(index), Some(TokenTree::Punct(colon)) if colon.as_char() == ':');
    let is_path = |index: usize| is_colon(index) && is_colon(index + 1);
    tokens.iter().enumerate().find_map(|(index, token)| match token {
        TokenTree::Group(group) => path_through(&group.stream(), name),
        TokenTree::Ident(ident) if ident == name && is_path(index + 1) => {
            let is_first = index < 2 || !is_path(index - 2);
            let next = match tokens.get(index + 3) {
                Some(TokenTree::Ident(next)) => next.to_string(),
                _ => return None,
            };
            let is_item = next.starts_with(char::is_uppercase)
                || (is_path(index + 4) && !is_turbofish(&tokens, index + 6));
            (is_first && is_item).then(|| ident.clone())
        }
        _ => None,
    })
}

fn is_turbofish(tokens: &[TokenTree], index: usize) -> bool {
    matches!(tokens.get(index), Some(TokenTree::Punct(open)) if open.as_char() == '<')
}

/// Returns `true` if the tokens may declare the name themselves, in a `use` or as a module.
fn declares(tokens: &TokenStream, name: &Ident) -> bool {
    let mut in_use = false;
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) if ident == "use" || ident == "mod" => {
            in_use = true;
            false
        }
        TokenTree::Ident(ident) => in_use && ident == *name,
        TokenTree::Punct(punct) => {
            in_use &= punct.as_char() != ';';
            false
        }
        TokenTree::Group(group) => declares(&group.stream(), name),
        TokenTree::Literal(_) => false,
    })
}
