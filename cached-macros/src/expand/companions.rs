//! The companions of a function: their bodies, parameters and attributes.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Lifetime, ReceiverKind, Type, TypeReference, parse_quote};

use super::hygienic;
use super::key::{Diagnostics, key};
use super::signature::{call_uncached, is_lint, is_unsafe, or_compute, outer_signature};
use crate::item::Body;
use crate::memo::Memo;

/// The input from which `companions!` and `computing!` of the runtime generate the companions that run the function.
pub(super) fn computing(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (vis, output) = (&memo.item.vis, &memo.item.output);
    let safety = if is_unsafe(memo) { quote!(unsafe) } else { TokenStream::new() };
    let (sig, lookup) = (outer_signature(memo), hygienic("__lookup"));
    let (generics, _, where_clause) = sig.generics.split_for_impl();
    let (params, key) = (&sig.inputs, key(memo, Diagnostics::Suppress));
    let answer = or_compute(memo, &lookup, &call_uncached(memo, uncached));
    quote! {
        [#at] => #key;
        #vis, [#safety] [#generics] (#params) -> #output, [#where_clause] #lookup => #answer
    }
}

/// The original function under another name.
pub(super) fn uncached(memo: &Memo, name: &Ident) -> TokenStream {
    let lints = memo.item.attrs.iter().filter(|attr| is_lint(attr));
    let vis = &memo.item.vis;
    let mut sig = memo.item.sig.clone();
    sig.ident = name.clone();
    let body = match &memo.body {
        Body::Async(body) => quote!(#body),
        Body::Boxed { before, pin, future, .. } => quote!({ #before #pin(#future) }),
    };
    quote!(#(#lints)* #vis #sig #body)
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

/// Lints are off in companions, which the user did not write.
pub(super) fn companion_attrs() -> TokenStream {
    quote!(#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)])
}

/// Lints of the signature are off here, because they are reported at the function itself.
pub(super) fn uncached_attrs() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            missing_docs,
            clippy::fn_params_excessive_bools,
            clippy::missing_errors_doc,
            clippy::missing_panics_doc,
            clippy::missing_safety_doc,
            clippy::too_many_arguments,
            clippy::trivially_copy_pass_by_ref,
            clippy::type_complexity
        )]
    }
}
