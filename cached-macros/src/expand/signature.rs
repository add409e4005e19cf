//! Pieces of the signature: parameters, arguments, generics, attributes, and calls with them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, GenericParam, Generics, Meta, Receiver, parse_quote};

use super::{hygienic, is_memory, private, private_at, span_bounds};
use crate::args::Opt;
use crate::item::Param;
use crate::memo::Memo;

/// All arguments, as they are passed on.
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

/// The receiver without `mut`, which only the body needs.
pub(super) fn outer_receiver(memo: &Memo) -> Option<Receiver> {
    memo.item.receiver.as_ref().map(|receiver| Receiver { mutability: None, ..receiver.arg.clone() })
}

/// The signature that callers see: every parameter is an identifier.
pub(super) fn outer_signature(memo: &Memo) -> syn::Signature {
    let mut sig = memo.item.sig.clone();
    let params = memo.item.params.iter().map(Param::outer);
    let receiver = outer_receiver(memo).map(syn::FnArg::Receiver);
    sig.inputs = receiver.into_iter().chain(params).collect();
    sig
}

/// Statements that match the patterns of the parameters, for a body below [`outer_signature`].
pub(super) fn bind_patterns(memo: &Memo) -> TokenStream {
    let statements = memo.item.params.iter().filter_map(|param| {
        let (pattern, name, cfgs) = (param.pattern.as_ref()?, &param.name, param.cfgs());
        Some(quote!(#(#cfgs)* let #pattern = #name;))
    });
    quote!(#(#statements)*)
}

/// A statement that fixes the output type of an `async` block, for `return` and `?`.
pub(super) fn infer_output(memo: &Memo) -> TokenStream {
    let output = &memo.item.output;
    let (start, _) = span_bounds(output);
    let (p, never) = (private_at(start), Ident::new("__never", Span::mixed_site().located_at(start)));
    quote_spanned! {start=>
        #[allow(unused_qualifications)]
        if let #p::Option::Some(#never) = #p::Option::None::<#output> {
            return #never;
        }
    }
}

/// `Self`, where the compiler reports that there is none: at the option `associated`, if there is one.
pub(super) fn self_type(memo: &Memo) -> Ident {
    let span = memo.associated.as_ref().map_or_else(Span::call_site, |option| option.span);
    Ident::new("Self", span)
}

/// A statement that does not compile if the option `associated` is on a function outside of an impl.
pub(super) fn check_associated(memo: &Memo) -> Option<TokenStream> {
    let (span, self_type) = (memo.associated.as_ref()?.span, self_type(memo));
    Some(quote_spanned!(span=> let _ = ::core::marker::PhantomData::<#self_type>;))
}

/// The second statement of a call: it runs `body` on a miss. Bounds of a detached body are reported at the option.
pub(super) fn or_compute(memo: &Memo, lookup: &Ident, body: &TokenStream) -> TokenStream {
    let Some(Opt { span, .. }) = memo.detached else {
        return quote!(#lookup.or_compute(move || #body).await);
    };
    let (p, lookup) = (private_at(span), Ident::new(&lookup.to_string(), lookup.span().located_at(span)));
    quote_spanned!(span=> #p::or_compute_detached(#lookup, move || #body).await)
}

/// [`or_compute`] for the outcome of `Get`. A hit in memory returns before the future of a miss exists: so it is neither
/// moved into the state of the caller's future nor dropped from there.
pub(super) fn hit_or_compute(memo: &Memo, lookup: &Ident, body: &TokenStream) -> TokenStream {
    let (p, output, computed) = (private(), hygienic("__output"), or_compute(memo, lookup, body));
    if !is_memory(memo) {
        return computed;
    }
    quote! {
        let #lookup = match #lookup {
            #p::Found::Hit(#output) => return #output,
            #lookup => #lookup,
        };
        #computed
    }
}

/// A call of the original function with all arguments.
pub(super) fn call_uncached(memo: &Memo, uncached: &TokenStream) -> TokenStream {
    let arguments = arguments(memo);
    if is_unsafe(memo) { quote!(unsafe { #uncached(#arguments) }) } else { quote!(#uncached(#arguments)) }
}

pub(super) fn is_unsafe(memo: &Memo) -> bool {
    matches!(memo.item.sig.safety, syn::Safety::Unsafe(_))
}

/// The type and const parameters of the function, as a turbofish.
pub(super) fn turbofish(memo: &Memo) -> TokenStream {
    let arguments = generic_arguments(&memo.item.sig.generics);
    if arguments.is_empty() { TokenStream::new() } else { quote!(::<#(#arguments),*>) }
}

/// [`turbofish`] for the entry function, which has two more parameters, both inferred.
pub(super) fn entry_turbofish(memo: &Memo) -> TokenStream {
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

/// Turns `expect` into `allow`, because the expected lint is reported at the body, not here.
pub(super) fn expect_to_allow(attr: &Attribute) -> Attribute {
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

/// Allows the use of a parameter `_x` in the key.
pub(super) fn underscore_attr(memo: &Memo) -> Option<TokenStream> {
    let any = memo.item.params.iter().any(|param| param.name.to_string().starts_with('_'));
    any.then(|| quote!(#[allow(clippy::used_underscore_binding)]))
}
