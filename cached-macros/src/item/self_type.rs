//! Finds `Self` in tokens.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

pub(super) fn mentions_self_type(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Group(group) => mentions_self_type(group.stream()),
        _ => false,
    })
}

/// Whether `Self` is mentioned outside of the types, traits and impls that stand in the tokens.
pub(super) fn names_self_type(tokens: TokenStream) -> bool {
    let mut in_item = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            in_item |= ["impl", "trait", "struct", "enum", "union"].iter().any(|item| ident == item);
            !in_item && ident == "Self"
        }
        TokenTree::Punct(punct) => {
            in_item &= punct.as_char() != ';';
            false
        }
        TokenTree::Group(group) => {
            let skipped = in_item;
            in_item &= group.delimiter() != Delimiter::Brace;
            !skipped && names_self_type(group.stream())
        }
        TokenTree::Literal(_) => false,
    })
}
