//! Tokens of the impl of a trait, as they are written in the impl with the companions.

use proc_macro2::{Group, Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

use crate::item::ImplBlock;

/// Writes `<Self as Find>::Item` for `Self::Item`, and with a companion type the self type for `Self`, and `this` for
/// `self`.
pub(super) struct Rewrite<'a> {
    pub(super) block: &'a ImplBlock,
    /// The parameter that stands for `self` in a companion type.
    pub(super) this: Option<&'a Ident>,
}

impl Rewrite<'_> {
    pub(super) fn tokens(&self, tokens: TokenStream) -> TokenStream {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rewritten = TokenStream::new();
        for (index, token) in tokens.iter().enumerate() {
            match (token, self.this) {
                (TokenTree::Group(group), _) => {
                    let mut inner = Group::new(group.delimiter(), self.tokens(group.stream()));
                    inner.set_span(group.span());
                    inner.to_tokens(&mut rewritten);
                }
                (TokenTree::Ident(ident), _) if ident == "Self" => {
                    rewritten.extend(self.self_type(ident, &tokens[index + 1..]));
                }
                (TokenTree::Ident(ident), Some(this)) if ident == "self" => this.to_tokens(&mut rewritten),
                (TokenTree::Literal(literal), Some(this)) => {
                    without_captured_self(literal, this).to_tokens(&mut rewritten);
                }
                (other, _) => other.to_tokens(&mut rewritten),
            }
        }
        rewritten
    }

    /// `Self` before the tokens `after`.
    fn self_type(&self, ident: &Ident, after: &[TokenTree]) -> TokenStream {
        let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(colon) if colon.as_char() == ':');
        let item = match after {
            [first, second, item, ..] if is_colon(first) && is_colon(second) => Some(item),
            _ => None,
        };
        let self_type = match self.this {
            Some(_) => self.block.self_type.to_token_stream(),
            None => ident.to_token_stream(),
        };
        let of_trait = &self.block.of_trait;
        match item {
            Some(TokenTree::Ident(name)) if self.block.defines_type(name) => {
                quote!(<#self_type as #of_trait>)
            }
            Some(_) if self.this.is_some() => quote!(<#self_type>),
            _ => self_type,
        }
    }
}

/// A format string with `{this}` for `{self}`.
fn without_captured_self(literal: &Literal, this: &Ident) -> Literal {
    let renamed = |piece: &str| {
        piece.replace("{self}", &format!("{{{this}}}")).replace("{self:", &format!("{{{this}:"))
    };
    let text = literal.to_string().split("{{").map(renamed).collect::<Vec<_>>().join("{{");
    let mut rewritten: Literal = text.parse().unwrap_or_else(|_| literal.clone());
    rewritten.set_span(literal.span());
    rewritten
}

/// The parameter of companions that stands for `self`. It is not hygienic, so that format strings can capture it.
pub(super) fn this_name(taken: &TokenStream) -> Ident {
    let name = if mentions(taken.clone(), "this") { "__this" } else { "this" };
    Ident::new(name, Span::call_site())
}

pub(super) fn mentions(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
