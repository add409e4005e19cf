//! The expansion of a [`Memo`].
//!
//! There is one file for each place where a function can be: `function` for free functions, `method` for methods and
//! associated functions, `trait_impl` for the methods of a trait's impl. They share what the other files generate: the
//! `key`, the `entry` function with the static, the `policy` in it, the `companions`, and parts of the `signature`.
//! Nothing here can fail. Names that are not the user's come from `__private` of the runtime.

mod companions;
mod entry;
mod function;
mod key;
mod method;
mod name;
mod policy;
mod signature;
mod trait_impl;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

use self::function::expand_function;
use self::method::expand_method;
use self::trait_impl::expand_trait_method;
use crate::args::Backend;
use crate::memo::{Companions, Memo};

/// Returns the tokens that replace the function.
pub(crate) fn expand(memo: &Memo) -> TokenStream {
    match memo.companions {
        Companions::Type => expand_function(memo),
        Companions::Method => expand_method(memo),
        Companions::None => expand_trait_method(memo),
    }
}

fn is_memory(memo: &Memo) -> bool {
    matches!(memo.backend.value, Backend::Memory)
}

/// The statement that makes `__private` available in a body.
fn import_private(memo: &Memo) -> TokenStream {
    let krate = &memo.krate;
    quote!(use #krate::__private;)
}

/// The path of the runtime's private items, in a body with [`import_private`].
fn private() -> TokenStream {
    private_at(Span::call_site())
}

/// [`private`] with a span of the user's code, where the compiler then reports its errors.
fn private_at(span: Span) -> TokenStream {
    Ident::new("__private", span).into_token_stream()
}

/// The first and the last span of the tokens. The compiler reports an expression with these spans at all of the tokens.
fn span_bounds(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let Some(first) = tokens.next() else { return (Span::call_site(), Span::call_site()) };
    let (start, end) = match (&first, tokens.last()) {
        (TokenTree::Group(only), None) => (only.span_open(), only.span_close()),
        (first, last) => (first.span(), last.as_ref().unwrap_or(first).span()),
    };
    (start, end)
}

/// An identifier that cannot clash with one of the user's.
fn hygienic(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
