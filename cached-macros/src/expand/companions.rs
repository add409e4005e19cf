//! Writes what stands beside a function.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Lifetime, ReceiverKind, Type, TypeReference, parse_quote};

use super::key::{Check, key};
use super::ours;
use super::signature::{is_lint, is_unsafe, or, outer_sig, run};
use crate::item::Body;
use crate::memo::Memo;

/// What the macros of the runtime have to know to write the companions that run the function.
pub(super) fn computing(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (vis, output) = (&memo.item.vis, &memo.item.output);
    let safety = if is_unsafe(memo) { quote!(unsafe) } else { TokenStream::new() };
    let (sig, looked) = (outer_sig(memo), ours("__looked"));
    let (generics, _, where_clause) = sig.generics.split_for_impl();
    let (params, key) = (&sig.inputs, key(memo, Check::Elsewhere));
    let answer = or(memo, &looked, &run(memo, uncached));
    quote! {
        [#at] => #key;
        #vis, [#safety] [#generics] (#params) -> #output, [#where_clause] #looked => #answer
    }
}

/// The function as the user wrote it, under another name.
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

/// The same for a method's handle, with `self` if it is in the key, and with one lifetime for what is borrowed.
pub(super) fn handle_params(memo: &Memo, lifetime: &Lifetime) -> Vec<(Ident, Type)> {
    let receiver = memo.item.receiver.as_ref().filter(|_| memo.key.uses_self).map(|receiver| {
        let ty = match &receiver.arg.kind {
            ReceiverKind::Typed(_, ty) => (**ty).clone(),
            _ => parse_quote!(&Self),
        };
        (ours("__this"), ty)
    });
    let params = memo.key_params().map(|param| (param.name.clone(), param.ty().clone()));
    let mut params: Vec<_> = receiver.into_iter().chain(params).collect();
    for (_, ty) in &mut params {
        Elided(lifetime).visit_type_mut(ty);
    }
    params
}

/// Gives a name to every lifetime that has none.
struct Elided<'a>(&'a Lifetime);

impl VisitMut for Elided<'_> {
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

/// The user did not write the companions and is not to hear of them.
pub(super) fn companion_attrs() -> TokenStream {
    quote!(#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)])
}

/// The body is the user's, but what is to be said of the signature is said of the function.
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
