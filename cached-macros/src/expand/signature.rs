//! Writes parts of the signature, and calls by it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, GenericParam, Generics, Meta, parse_quote};

use super::{across, private_at};
use crate::args::Opt;
use crate::item::Param;
use crate::memo::Memo;

/// Everything that the function takes, as it is passed on.
fn arguments(memo: &Memo) -> TokenStream {
    let receiver = memo.item.receiver.iter().map(|receiver| {
        let this = &receiver.arg.self_token;
        quote!(#this)
    });
    let params = memo.item.params.iter().map(|param| {
        let (cfgs, name) = (param.cfgs(), &param.name);
        quote!(#(#cfgs)* #name)
    });
    let arguments = receiver.chain(params);
    quote!(#(#arguments),*)
}

/// The signature that callers see: every parameter is a name.
pub(super) fn outer_sig(memo: &Memo) -> syn::Signature {
    let mut sig = memo.item.sig.clone();
    let params = memo.item.params.iter().map(Param::outer);
    let receiver = sig.receiver().cloned().map(syn::FnArg::Receiver);
    sig.inputs = receiver.into_iter().chain(params).collect();
    sig
}

/// Takes the parameters apart as the user wrote it, where the body stands below our signature.
pub(super) fn rebound(memo: &Memo) -> TokenStream {
    let rebound = memo.item.params.iter().filter_map(|param| {
        let (pattern, name, cfgs) = (param.pattern.as_ref()?, &param.name, param.cfgs());
        Some(quote!(#(#cfgs)* let #pattern = #name;))
    });
    quote!(#(#rebound)*)
}

/// Tells an `async` block what its `return` and `?` are to return.
pub(super) fn typed(memo: &Memo) -> TokenStream {
    let output = &memo.item.output;
    let (start, _) = across(output);
    let (p, never) = (private_at(start), Ident::new("__never", Span::mixed_site().located_at(start)));
    quote_spanned! {start=>
        #[allow(unused_qualifications)]
        if let #p::Option::Some(#never) = #p::Option::None::<#output> {
            return #never;
        }
    }
}

/// The second statement of an answer. What a detached body has to be is reported where `detached` was written.
pub(super) fn or(memo: &Memo, looked: &Ident, body: &TokenStream) -> TokenStream {
    let Some(Opt { span, .. }) = memo.detached else { return quote!(#looked.or(move || #body).await) };
    let (p, looked) = (private_at(span), Ident::new(&looked.to_string(), looked.span().located_at(span)));
    quote_spanned!(span=> #p::or_detached(#looked, move || #body).await)
}

/// The function as the user wrote it, with everything that it takes.
pub(super) fn run(memo: &Memo, uncached: &TokenStream) -> TokenStream {
    let arguments = arguments(memo);
    if is_unsafe(memo) { quote!(unsafe { #uncached(#arguments) }) } else { quote!(#uncached(#arguments)) }
}

pub(super) fn is_unsafe(memo: &Memo) -> bool {
    matches!(memo.item.sig.safety, syn::Safety::Unsafe(_))
}

/// The type and const parameters of the function, as they are passed on.
pub(super) fn turbofish(memo: &Memo) -> TokenStream {
    let arguments = generic_arguments(&memo.item.sig.generics);
    if arguments.is_empty() { TokenStream::new() } else { quote!(::<#(#arguments),*>) }
}

/// The same for `__at`, which has two more, which are inferred.
pub(super) fn at_turbofish(memo: &Memo) -> TokenStream {
    let arguments = generic_arguments(&memo.item.sig.generics);
    if arguments.is_empty() { TokenStream::new() } else { quote!(::<#(#arguments,)* _, _>) }
}

fn generic_arguments(generics: &Generics) -> Vec<&Ident> {
    let mut arguments = Vec::new();
    for param in &generics.params {
        match param {
            GenericParam::Type(param) => arguments.push(&param.ident),
            GenericParam::Const(param) => arguments.push(&param.ident),
            GenericParam::Lifetime(_) => {}
        }
    }
    arguments
}

pub(super) fn with_params(generics: &Generics, more: &[TokenStream]) -> Generics {
    let mut generics = generics.clone();
    for param in more {
        generics.params.push(parse_quote!(#param));
    }
    generics
}

pub(super) fn cfgs(memo: &Memo) -> Vec<&Attribute> {
    memo.item.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
}

/// What is expected of the body is allowed where there is none.
pub(super) fn allowed(attr: &Attribute) -> Attribute {
    let mut attr = attr.clone();
    if let Meta::List(list) = &mut attr.meta
        && list.path.is_ident("expect")
    {
        list.path = Ident::new("allow", list.path.span()).into();
    }
    attr
}

pub(super) fn is_lint(attr: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"].iter().any(|lint| attr.path().is_ident(lint))
}

/// A parameter `_x` that is in the key is used, which the user can not help.
pub(super) fn underscore_lint(memo: &Memo) -> Option<TokenStream> {
    let any = memo.item.params.iter().any(|param| param.name.to_string().starts_with('_'));
    any.then(|| quote!(#[allow(clippy::used_underscore_binding)]))
}
