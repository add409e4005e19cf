//! The companions of a function: their bodies, parameters and attributes.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Lifetime, ReceiverKind, Type, TypeReference, Visibility, parse_quote};

use super::key::{Diagnostics, key};
use super::signature::{
    call_uncached, companion_generics, expect_to_allow, expects_unused, is_lint, is_unsafe, or_compute,
    outer_signature,
};
use super::{generated, hygienic};
use crate::item::Body;
use crate::memo::Memo;

/// The input from which `companions!` and `computing!` of the runtime generate the companions that run the function.
pub(super) fn computing(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (vis, output) = (&memo.item.vis, &memo.item.output);
    let safety = if is_unsafe(memo) { quote!(unsafe) } else { TokenStream::new() };
    let (sig, generics, lookup) = (outer_signature(memo), companion_generics(memo), hygienic("__lookup"));
    let (generics, _, where_clause) = generics.split_for_impl();
    let (params, key) = (&sig.inputs, key(memo, Diagnostics::Suppress));
    let answer = or_compute(memo, &lookup, &call_uncached(memo, uncached));
    quote! {
        [#at] => #key;
        #vis, [#safety] [#generics] (#params) -> #output, [#where_clause] #lookup => #answer
    }
}

/// The original function under another name.
pub(super) fn uncached(memo: &Memo, name: &Ident) -> TokenStream {
    let vis = generated_vis(memo);
    let mut sig = memo.item.sig.clone();
    sig.ident = name.clone();
    // With the span of the first token the whole signature is generated: its lints are reported at the function itself.
    if let Some(asyncness) = &mut sig.asyncness {
        asyncness.span = generated(asyncness.span);
    }
    sig.fn_token.span = generated(sig.fn_token.span);
    let body = match &memo.body {
        Body::Async(body) => quote!(#body),
        Body::Boxed { before, pin, future, .. } => quote!({ #before #pin(#future) }),
    };
    quote! {
        /// Runs the function as it is written: it neither reads the cache nor stores the result.
        #vis #sig #body
    }
}

/// The visibility of the function, generated.
pub(super) fn generated_vis(memo: &Memo) -> Visibility {
    let mut vis = memo.item.vis.clone();
    match &mut vis {
        Visibility::Public(token) => token.span = generated(token.span),
        Visibility::Restricted(restricted) => {
            restricted.pub_token.span = generated(restricted.pub_token.span);
        }
        Visibility::Inherited => {}
    }
    vis
}

/// Statements that declare the parameters that are not in the key, for a key with a typo: see `Key::unused`.
pub(super) fn unused_params(memo: &Memo) -> TokenStream {
    let statements = memo.key.unused.iter().map(|&index| {
        let name = &memo.item.params[index].name;
        quote!(let #name = (); let _ = #name;)
    });
    quote!(#(#statements)*)
}

/// The parameters of the key of a `MethodCache`: with `self` if the key contains it, and with one lifetime for all
/// references.
pub(super) fn method_key_params(memo: &Memo, lifetime: &Lifetime) -> Vec<(Ident, Type)> {
    let receiver = memo.item.receiver.as_ref().filter(|_| memo.key.uses_self).map(|receiver| {
        let ty = match &receiver.arg.kind {
            ReceiverKind::Typed(_, ty) => (**ty).clone(),
            ReceiverKind::Value => parse_quote!(Self),
            _ => parse_quote!(&Self),
        };
        (hygienic("__this"), ty)
    });
    let params = memo.key_params().map(|param| (param.name.clone(), param.ty().clone()));
    let mut params: Vec<_> = receiver.into_iter().chain(params).collect();
    for (_, ty) in &mut params {
        NameLifetimes(lifetime).visit_type_mut(ty);
    }
    params
}

/// Names all elided lifetimes.
struct NameLifetimes<'a>(&'a Lifetime);

impl VisitMut for NameLifetimes<'_> {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| self.0.clone());
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.0.clone();
        }
    }
}

/// The attributes of the function that its companions have too.
pub(super) fn passed_on(memo: &Memo) -> Vec<Attribute> {
    let is_hidden = |attr: &Attribute| attr.parse_args::<Ident>().is_ok_and(|argument| argument == "hidden");
    let is_passed = |attr: &&Attribute| {
        attr.path().is_ident("deprecated") || (attr.path().is_ident("doc") && is_hidden(attr))
    };
    let passed = memo.item.attrs.iter().filter(is_passed).cloned();
    passed_to_impl(memo).into_iter().chain(passed).collect()
}

/// The attributes of an impl with companions.
pub(super) fn passed_to_impl(memo: &Memo) -> Vec<Attribute> {
    let is_passed = |attr: &&Attribute| attr.path().is_ident("cfg") || is_lint(attr) && !expects_unused(attr);
    let passed = memo.item.attrs.iter().filter(is_passed).map(expect_to_allow);
    passed.chain(allow_deprecated(memo)).collect()
}

/// Companions refer to each other, also those of a deprecated function.
pub(super) fn allow_deprecated(memo: &Memo) -> Option<Attribute> {
    let is_deprecated = memo.item.attrs.iter().any(|attr| attr.path().is_ident("deprecated"));
    is_deprecated.then(|| parse_quote!(#[allow(deprecated)]))
}

/// The attributes of `uncached`: an expected lint is reported in it.
pub(super) fn passed_to_uncached(memo: &Memo) -> Vec<Attribute> {
    let passed = passed_on(memo).into_iter().filter(|attr| !is_lint(attr));
    let lints = memo.item.attrs.iter().filter(|attr| is_lint(attr) && !expects_unused(attr));
    passed.chain(lints.cloned()).collect()
}
