//! Pieces of the signature: parameters, arguments, generics, attributes, and calls with them.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, GenericParam, Generics, Meta, Receiver, Token, Type, TypeParamBound, WherePredicate,
    parse_quote,
};

use super::{generated, hygienic, is_memory, krate_at, span_bounds};
use crate::args::Opt;
use crate::item::{Body, Param};
use crate::memo::Memo;

/// All arguments, as they are passed on.
pub(super) fn arguments(memo: &Memo) -> TokenStream {
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
    // An argument `_x` has another name too, but a body that does not use it needs none.
    let is_unused = |param: &&Param| {
        let body = match &memo.body {
            Body::Async(body) => body.stream(),
            Body::Boxed { .. } => return false,
        };
        param.named && param.name.to_string().starts_with('_') && !mentions(body, &param.name)
    };
    let statements = memo.item.params.iter().filter(|param| !is_unused(param)).filter_map(|param| {
        let (pattern, name, cfgs) = (param.pattern.as_ref()?, &param.name, param.cfgs());
        Some(quote!(#(#cfgs)* let #pattern = #name;))
    });
    quote!(#(#statements)*)
}

/// A statement that fixes the output type of an `async` block, for `return` and `?`.
pub(super) fn infer_output(memo: &Memo) -> TokenStream {
    let output = &memo.item.output;
    let (start, _) = span_bounds(output);
    let never = Ident::new("__never", Span::mixed_site().located_at(start));
    let krate = krate_at(memo, generated(start));
    quote_spanned! {generated(start)=>
        if let ::core::option::Option::Some(#never) = #krate::__private::none() {
            let #never: #output = #never;
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
    let (krate, lookup) =
        (krate_at(memo, span), Ident::new(&lookup.to_string(), lookup.span().located_at(span)));
    quote_spanned!(span=> #krate::__private::or_compute_detached(#lookup, move || #body).await)
}

/// [`or_compute`] for the outcome of `Get`. A hit in memory returns before the future of a miss exists: so it is neither
/// moved into the state of the caller's future nor dropped from there.
///
/// It ends in `return`, for users of the lint `clippy::implicit_return`, which applies to the braces of the user.
pub(super) fn hit_or_compute(memo: &Memo, lookup: &Ident, body: &TokenStream) -> TokenStream {
    let (output, computed) = (hygienic("__output"), or_compute(memo, lookup, body));
    if !is_memory(memo) {
        return quote!(return #computed;);
    }
    let krate = krate_at(memo, Span::call_site());
    quote! {
        let #lookup = match #lookup {
            #krate::__private::Found::Hit(#output) => return #output,
            #lookup => #lookup,
        };
        return #computed;
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

/// The type parameters of the function that are in a type.
pub(super) fn generic_in<'a>(memo: &'a Memo, ty: &Type) -> impl Iterator<Item = &'a Ident> {
    let tokens = ty.to_token_stream();
    let params = memo.item.sig.generics.type_params().map(|param| &param.ident);
    params.filter(move |param| mentions(tokens.clone(), param))
}

fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The generics of companions: type parameters in the key are `'static`, so that the compiler reports for the function
/// alone that one is not.
pub(super) fn companion_generics(memo: &Memo) -> Generics {
    let mut generics = memo.item.sig.generics.clone();
    for param in memo.item.sig.generics.type_params() {
        if memo.key_params().any(|key_param| mentions(key_param.ty().to_token_stream(), &param.ident)) {
            make_static(&mut generics, &param.ident);
        }
    }
    generics
}

/// Adds `'static` where the other bounds of the parameter are: in the list of parameters, or in the `where` clause.
fn make_static(generics: &mut Generics, param: &Ident) {
    let is_of_param = |ty: &Type| matches!(ty, Type::Path(path) if path.path.is_ident(param));
    let in_clause =
        generics.where_clause.iter_mut().flat_map(|clause| &mut clause.predicates).filter_map(|predicate| {
            match predicate {
                WherePredicate::Type(predicate) if is_of_param(&predicate.bounded_ty) => {
                    Some(&mut predicate.bounds)
                }
                _ => None,
            }
        });
    let in_list = generics.params.iter_mut().filter_map(|other| match other {
        GenericParam::Type(other) if other.ident == *param => {
            other.colon_token.get_or_insert_with(Default::default);
            Some(&mut other.bounds)
        }
        _ => None,
    });
    let mut bounds: Vec<_> = in_list.chain(in_clause).collect();
    let is_static =
        |bound: &TypeParamBound| matches!(bound, TypeParamBound::Lifetime(bound) if bound.ident == "static");
    if bounds.iter().any(|bounds| bounds.iter().any(is_static)) {
        return;
    }
    let used = bounds.iter().position(|bounds| !bounds.is_empty()).unwrap_or(0);
    if let Some(bounds) = bounds.get_mut(used) {
        bounds.push(parse_quote!('static));
    }
}

pub(super) fn with_params(generics: &Generics, more: &[TokenStream]) -> Generics {
    let mut generics = generics.clone();
    for param in more {
        generics.params.push(parse_quote!(#param));
    }
    generics
}

/// The lint attributes of the function under its own name: an expected lint is reported at the body, not here, unless it is
/// that the function is not used.
pub(super) fn without_lints_of_the_body(attr: &Attribute) -> Attribute {
    if expects_unused(attr) { attr.clone() } else { expect_to_allow(attr) }
}

/// Whether the attribute expects this one lint: the function is not used. For companions the compiler never reports that.
pub(super) fn expects_unused(attr: &Attribute) -> bool {
    let is_meant = |lint: &Meta| lint.path().is_ident("dead_code") || lint.path().is_ident("reason");
    attr.path().is_ident("expect")
        && attr
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|lints| lints.iter().all(is_meant))
}

/// Turns `expect` into `allow`.
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
