//! The item as it stays in the output beside errors.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

/// Returns the item without what would cause further errors: a second `#[async_cached]`, and a missing body.
pub(crate) fn for_output(item: TokenStream) -> TokenStream {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    while let Some(at) = tokens.windows(2).position(|pair| is_attribute(&pair[0], &pair[1])) {
        tokens.drain(at..at + 2);
    }
    if is_async_declaration(&tokens)
        && let Some(end) = tokens.pop()
    {
        let mut body = Group::new(Delimiter::Brace, quote!(::core::unimplemented!()));
        body.set_span(end.span());
        let declaration: TokenStream = tokens.into_iter().collect();
        return quote!(#[allow(unused_variables)] #declaration #body);
    }
    tokens.into_iter().collect()
}

/// Returns `true` for an `async fn` that ends in `;` and is no method. With a body it is not an error of the compiler too.
fn is_async_declaration(tokens: &[TokenTree]) -> bool {
    let is_word = |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident == word);
    let ends = matches!(tokens.last(), Some(TokenTree::Punct(last)) if last.as_char() == ';');
    let is_method = tokens.iter().any(|token| match token {
        TokenTree::Group(group) => group.stream().into_iter().take(4).any(|token| is_word(&token, "self")),
        _ => false,
    });
    ends && !is_method && ["async", "fn"].iter().all(|word| tokens.iter().any(|token| is_word(token, word)))
}

/// Returns `true` for `#` and `[async_cached(...)]`, with or without the crate in front.
fn is_attribute(pound: &TokenTree, brackets: &TokenTree) -> bool {
    let (TokenTree::Punct(pound), TokenTree::Group(group)) = (pound, brackets) else { return false };
    let path = group.stream().into_iter().take_while(|token| !matches!(token, TokenTree::Group(_)));
    let last = path.filter(|token| matches!(token, TokenTree::Ident(_))).last();
    pound.as_char() == '#'
        && group.delimiter() == Delimiter::Bracket
        && matches!(last, Some(TokenTree::Ident(name)) if name == "async_cached")
}
