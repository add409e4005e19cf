//! Writes what a memoized function becomes.

mod companions;
mod function;
mod instance;
mod key;
mod method;
mod policy;
mod signature;
mod trait_impl;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};

use self::function::beside_a_function;
use self::method::beside_a_method;
use self::trait_impl::alone;
use crate::args::Backend;
use crate::memo::{Companions, Memo};

pub(crate) fn expand(memo: &Memo) -> TokenStream {
    match memo.companions {
        Companions::Type => beside_a_function(memo),
        Companions::Method => beside_a_method(memo),
        Companions::None => alone(memo),
    }
}

fn is_memory(memo: &Memo) -> bool {
    matches!(memo.backend.value, Backend::Memory)
}

/// Brings into the scope of a body what only our code may call.
fn scope(memo: &Memo) -> TokenStream {
    let krate = &memo.krate;
    quote!(use #krate::__private;)
}

/// What only our code may call, in a body that has it in its scope.
fn private() -> TokenStream {
    private_at(Span::call_site())
}

/// The same, as if it was written at a place of the user's: there the compiler reports what is wrong with it.
fn private_at(span: Span) -> TokenStream {
    Ident::new("__private", span).into_token_stream()
}

/// Where something starts and where it ends; an expression between these is reported as the whole of it.
fn across(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let Some(first) = tokens.next() else { return (Span::call_site(), Span::call_site()) };
    let (start, end) = match (&first, tokens.last()) {
        (TokenTree::Group(only), None) => (only.span_open(), only.span_close()),
        (first, last) => (first.span(), last.as_ref().unwrap_or(first).span()),
    };
    (start, end)
}

/// A name that can not clash with one of the user's.
fn ours(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
