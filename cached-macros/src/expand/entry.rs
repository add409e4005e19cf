//! The entry function: the static of a cached function, and the chain of calls from it to an operation.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::name::{function_name, has_one_instance};
use super::policy::{policy, require_feature};
use super::signature::{companion_generics, with_params};
use super::{hygienic, import_private, is_memory, krate, private, private_at, span_bounds};
use crate::args::{Backend, ShareErr};
use crate::memo::{Memo, Ttl};

/// The function through which all companions reach the cache: it holds the static with the policy, and knows the types
/// of the key and the value. It begins with `mentions`, see [`mention`](super::function::mention).
pub(super) fn entry_fn(
    memo: &Memo,
    name: &Ident,
    marker: &TokenStream,
    mentions: &TokenStream,
) -> TokenStream {
    let (output, krate, import_private) = (&memo.item.output, krate(memo), import_private(memo));
    let (operation_type, key_type) = (hygienic("__Operation"), hygienic("__Key"));
    let parts = if is_memory(memo) { quote!(KeyParts) } else { quote!(SharedKeyParts) };
    let generics = with_params(
        &companion_generics(memo),
        &[
            quote!(#operation_type: #krate::__private::Operation<#output>),
            quote!(#key_type: #krate::__private::#parts),
        ],
    );
    let (generics, _, where_clause) = generics.split_for_impl();
    let (operation, key) = (hygienic("__operation"), hygienic("__key"));
    let call_chain = call_chain(memo, &quote!(&#marker), &quote!(#key), &quote!(#operation));
    quote! {
        fn #name #generics (#operation: #operation_type, #key: #key_type) -> #operation_type::Out #where_clause {
            #import_private
            #mentions
            #call_chain
        }
    }
}

/// The static, and the chain of calls from it to the `operation`. The chain has the span of the return type, so
/// that the compiler reports an unsuitable return type there.
pub(super) fn call_chain(
    memo: &Memo,
    marker: &TokenStream,
    key: &TokenStream,
    operation: &TokenStream,
) -> TokenStream {
    let (start, end) = span_bounds(&memo.item.output);
    let (p, at_output) = (private(), private_at(start));
    let (function, name, policy) = (hygienic("__FUNCTION"), function_name(memo), policy(memo));
    let (kind, absent) = (return_kind(memo), absence(memo));
    let ttl_from = match &memo.ttl {
        Ttl::FromValue(option) => Some(option),
        Ttl::Fixed(_) => None,
    };
    let functions = [
        ("cache_if", memo.cache_if.as_ref()),
        ("ttl_from", ttl_from),
        ("tags_from", memo.tags_from.as_ref()),
    ];

    let instance = if has_one_instance(memo) { quote!(only_instance) } else { quote!(instance) };
    let arguments = quote_spanned!(end=> (#function.#instance(#marker), #key, #kind, #absent));
    let new = Ident::new("new", end);
    let mut at = quote_spanned!(start=> #at_output::EntryRef::#new #arguments);
    for (name, option) in functions.into_iter().filter_map(|(name, option)| Some((name, option?))) {
        let (name, expr) = (Ident::new(name, option.name.span()), &option.value);
        let expr = quote_spanned!(end=> (#expr));
        at = quote_spanned!(start=> #at.#name #expr);
    }
    if let Some(timeout) = &memo.timeout {
        let (output, span) = (&memo.item.output, timeout.name.span());
        let p = private_at(span);
        let timed_out = quote_spanned!(span=> #p::timed_out::<#output>);
        at = quote_spanned!(start=> #at.timed_out(#timed_out));
    }
    let tier = if is_memory(memo) { quote_spanned!(end=> memory) } else { quote_spanned!(end=> shared) };
    let operation = quote_spanned!(end=> (#operation));
    let code = quote! {
        static #function: #p::CachedFunction = #p::CachedFunction::new(#name, || #policy);
        #p::declare! { #function }
        #at.#tier #operation
    };
    let span = memo.backend.span;
    let feature = match &memo.backend.value {
        Backend::Memory => return code,
        Backend::Redis => Ident::new("redis", span),
        Backend::Memcached => Ident::new("memcached", span),
        Backend::Shared | Backend::Store(_) => Ident::new("store", span),
    };
    require_feature(&feature, &quote!({ #code }))
}

/// The kind of the return type: a `Result`, an `Option`, or any other type; with what the options make of it.
fn return_kind(memo: &Memo) -> TokenStream {
    let errors = if is_memory(memo) { "caching_errors" } else { "storing_errors" };
    let with_errors = memo.cache_err.as_ref().map(|option| (&option.name, errors));
    let with_errors =
        with_errors.or_else(|| memo.stale_if_error.as_ref().map(|option| (&option.name, "with_fallback")));
    let (start, end) = match (&memo.share_err, with_errors) {
        (None, None) => return plain_kind(memo),
        (Some(option), _) => (option.name.span(), option.name.span()),
        (None, Some((name, _))) => (name.span(), name.span()),
    };
    let shape = return_shape(memo, start, end);
    let mut kind = quote_spanned!(end=> #shape.kind());
    if let Some(option) = &memo.share_err {
        let span = option.name.span();
        let p = private_at(span);
        kind = match &option.value {
            ShareErr::Off => quote_spanned!(span=> #p::keeping_errors(#kind)),
            ShareErr::Function(function) => quote_spanned!(span=> #p::sharing_errors(#kind).by(#function)),
        };
    }
    if let Some((name, function)) = with_errors {
        let (p, function) = (private_at(name.span()), Ident::new(function, name.span()));
        kind = quote_spanned!(name.span()=> #p::#function(#kind));
    }
    kind
}

/// The kind of the return type, without the options.
pub(super) fn plain_kind(memo: &Memo) -> TokenStream {
    let (start, end) = span_bounds(&memo.item.output);
    let shape = return_shape(memo, start, end);
    quote_spanned!(end=> #shape.kind())
}

/// The test for an absent value, which depends on the return type.
fn absence(memo: &Memo) -> TokenStream {
    let Some(cache_none) = &memo.cache_none else {
        let (start, end) = span_bounds(&memo.item.output);
        let shape = return_shape(memo, start, end);
        return quote_spanned!(end=> #shape.absent());
    };
    let span = cache_none.name.span();
    let (p, shape) = (private_at(span), return_shape(memo, span, span));
    quote_spanned!(span=> #p::caching_none(#shape.absent()))
}

/// The value by which the runtime dispatches on the return type.
fn return_shape(memo: &Memo, start: Span, end: Span) -> TokenStream {
    let (output, p) = (&memo.item.output, private_at(start));
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::ReturnType::<#output>::new #call)
}
