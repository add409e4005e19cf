//! Finds `Self` in tokens, which shows that a function is in an `impl` or a `trait`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

pub(super) fn mentions_self_type(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Group(group) => mentions_self_type(group.stream()),
        _ => false,
    })
}

/// Returns `true` if the tokens contain `Self` outside of nested types, traits and impls.
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
