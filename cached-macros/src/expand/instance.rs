//! Writes the static of a function, and the chain from it to the verb.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::policy::{if_on, policy};
use super::signature::with_params;
use super::{across, is_memory, ours, private, private_at, scope};
use crate::args::Backend;
use crate::memo::{Life, Memo};

/// The one place where the types of the key and the value, the policy and the static come together.
pub(super) fn at(memo: &Memo, name: &Ident, marker: &TokenStream) -> TokenStream {
    let (output, krate, scope) = (&memo.item.output, &memo.krate, scope(memo));
    let (verb_type, key_type) = (ours("__Verb"), ours("__Key"));
    let parts = if is_memory(memo) { quote!(Parts) } else { quote!(SharedParts) };
    let generics = with_params(
        &memo.item.sig.generics,
        &[quote!(#verb_type: #krate::__private::Verb<#output>), quote!(#key_type: #krate::__private::#parts)],
    );
    let (generics, _, where_clause) = generics.split_for_impl();
    let (verb, key) = (ours("__verb"), ours("__key"));
    let chain = chain(memo, &quote!(&#marker), &quote!(#key), &quote!(#verb));
    quote! {
        fn #name #generics (#verb: #verb_type, #key: #key_type) -> #verb_type::Out #where_clause {
            #scope
            #chain
        }
    }
}

/// From the static to the verb. All of it stands where the output does, whose type has to suit.
pub(super) fn chain(memo: &Memo, marker: &TokenStream, key: &TokenStream, verb: &TokenStream) -> TokenStream {
    let (start, end) = across(&memo.item.output);
    let (p, at_output) = (private(), private_at(start));
    let (site, policy) = (ours("__SITE"), policy(memo));
    let (kind, absent) = (kind(memo), absent(memo));
    let ttl_from = match &memo.life {
        Life::FromValue(option) => Some(option),
        Life::Ttl(_) => None,
    };
    let functions = [
        ("cache_if", memo.cache_if.as_ref()),
        ("ttl_from", ttl_from),
        ("tags_from", memo.tags_from.as_ref()),
    ];

    let arguments = quote_spanned!(end=> (#site.instance(#marker), #key, #kind, #absent));
    let new = Ident::new("new", end);
    let mut at = quote_spanned!(start=> #at_output::At::#new #arguments);
    for (name, option) in functions.into_iter().filter_map(|(name, option)| Some((name, option?))) {
        let (name, expr) = (Ident::new(name, option.name.span()), &option.value);
        let expr = quote_spanned!(end=> (#expr));
        at = quote_spanned!(start=> #at.#name #expr);
    }
    if let Some(timeout) = &memo.timeout {
        let (output, span) = (&memo.item.output, timeout.name.span());
        let p = private_at(span);
        let too_late = quote_spanned!(span=> #p::too_late::<#output>);
        at = quote_spanned!(start=> #at.too_late(#too_late));
    }
    let tier = if is_memory(memo) { quote_spanned!(end=> memory) } else { quote_spanned!(end=> shared) };
    let verb = quote_spanned!(end=> (#verb));
    let code = quote! {
        static #site: #p::Site = #p::Site::new(|| #policy);
        #at.#tier #verb
    };
    let span = memo.backend.span;
    let feature = match &memo.backend.value {
        Backend::Memory => return code,
        Backend::Redis => Ident::new("redis", span),
        Backend::Memcached => Ident::new("memcached", span),
        Backend::Store(_) => Ident::new("store", span),
    };
    if_on(&feature, &quote!({ #code }))
}

/// What the function returns, by its type.
pub(super) fn kind(memo: &Memo) -> TokenStream {
    let of_errors = memo.cache_err.as_ref().map(|option| (&option.name, "kept"));
    let of_errors =
        of_errors.or_else(|| memo.stale_if_error.as_ref().map(|option| (&option.name, "failing")));
    let Some((option, function)) = of_errors else {
        let (start, end) = across(&memo.item.output);
        let shape = shape(memo, start, end);
        return quote_spanned!(end=> #shape.kind());
    };
    let span = option.span();
    let (p, shape, function) = (private_at(span), shape(memo, span, span), Ident::new(function, span));
    quote_spanned!(span=> #p::#function(#shape.kind()))
}

/// When what the function returns is absent, by its type.
fn absent(memo: &Memo) -> TokenStream {
    let Some(cache_none) = &memo.cache_none else {
        let (start, end) = across(&memo.item.output);
        let shape = shape(memo, start, end);
        return quote_spanned!(end=> #shape.absent());
    };
    let span = cache_none.name.span();
    let (p, shape) = (private_at(span), shape(memo, span, span));
    quote_spanned!(span=> #p::none(#shape.absent()))
}

/// The type that the function returns, on its way to its kind.
fn shape(memo: &Memo, start: Span, end: Span) -> TokenStream {
    let (output, p) = (&memo.item.output, private_at(start));
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::Shape::<#output>::new #call)
}
