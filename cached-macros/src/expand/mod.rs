//! The expansion of a [`Memo`].
//!
//! There is one file for each place where a function can be: `function` for free functions, `method` for methods and
//! associated functions, `trait_impl` for the methods of a trait's impl, and `impl_block`, with `rewrite`, for a whole
//! impl of a trait. They share what the other files generate: the `key`, the `entry` function with the static, the
//! `policy` in it, the `companions`, and parts of the `signature`. Nothing here can fail. Names that are not the user's
//! come from `__private` of the runtime.
//!
//! There is no `allow` in an expansion, because `forbid` makes it an error. A lint does not apply to code with spans of the
//! macro, so a name that a lint could apply to has such a span, see [`generated`].

mod companions;
mod entry;
mod function;
mod impl_block;
mod key;
mod method;
mod name;
mod policy;
mod rewrite;
mod signature;
mod trait_impl;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

use self::function::expand_function;
pub(crate) use self::impl_block::expand_impl_block;
use self::method::expand_method;
use self::trait_impl::expand_trait_method;
use crate::args::Backend;
use crate::memo::{Companions, Memo};

/// Returns the tokens that replace the function.
pub(crate) fn expand(memo: &Memo) -> TokenStream {
    match memo.companions {
        Companions::Type => expand_function(memo),
        Companions::Method => expand_method(memo),
        Companions::TraitImpl | Companions::None => expand_trait_method(memo),
    }
}

fn is_memory(memo: &Memo) -> bool {
    matches!(memo.backend.value, Backend::Memory)
}

/// Code that refers to the runtime, as the input of a macro of the runtime that passes it on: if the path of the runtime
/// is wrong, the compiler reports that once.
fn runtime_code(memo: &Memo, code: &TokenStream) -> TokenStream {
    let krate = krate(memo);
    quote!(#krate::__private::code! { #code })
}

/// An expression in which [`private`] is the runtime.
fn runtime_block(memo: &Memo, code: &TokenStream) -> TokenStream {
    let import_private = import_private(memo);
    runtime_code(memo, &quote!({ #import_private #code }))
}

/// The statement that makes [`private`] available in a body. Its name is not one that the user has.
fn import_private(memo: &Memo) -> TokenStream {
    let (krate, p) = (krate(memo), private());
    quote!(use #krate::__private as #p;)
}

/// The name of the runtime's private items, in a body with [`import_private`].
fn private() -> TokenStream {
    private_at(Span::call_site())
}

/// [`private`] with a span of the user's code, where the compiler then reports its errors.
fn private_at(span: Span) -> TokenStream {
    Ident::new("__cached", span).into_token_stream()
}

/// The span of a name that the user wrote, for a name that the macro makes of it: lints do not apply to it.
fn generated(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// The path of the runtime with another span; one that the user gave keeps its own.
fn krate_at(memo: &Memo, span: Span) -> TokenStream {
    match &memo.krate {
        Some(option) => option.value.to_token_stream(),
        None => quote_spanned!(span=> ::cached_runtime),
    }
}

/// [`krate_at`] the attribute.
fn krate(memo: &Memo) -> TokenStream {
    krate_at(memo, Span::call_site())
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
