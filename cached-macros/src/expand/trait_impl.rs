//! The expansion of a method in the impl of a trait.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::FnArg;

use super::entry::call_chain;
use super::key::{Diagnostics, key};
use super::signature::{bind_patterns, check_associated, hit_or_compute, infer_output, outer_signature};
use super::{hygienic, private, runtime_block};
use crate::item::Body;
use crate::memo::Memo;

// The impl of a trait can contain only items of the trait. So the static is in the method:
//
//     async fn find(&self, id: u64) -> User {
//         static FUNCTION: Site = Site::new(...);
//         let lookup = FUNCTION.instance(&|| ()).at((Arg::new(&id).part(),), ...).memory(Look);
//         lookup.or(move || async move { body }).await
//     }
pub(super) fn expand_trait_method(memo: &Memo) -> TokenStream {
    let (attrs, vis, p) = (&memo.item.attrs, &memo.item.vis, private());
    let (associated, lookup) = (check_associated(memo), hygienic("__lookup"));
    let look = call_chain(memo, &quote!(&|| ()), &key(memo, Diagnostics::Report), &quote!(#p::Get));
    let look = runtime_block(memo, &look);
    let bind_patterns = bind_patterns(memo);
    match &memo.body {
        Body::Async(body) => {
            let mut sig = outer_signature(memo);
            // The body is in this function, and needs the `mut` of `mut self`.
            if let (Some(receiver), Some(outer)) = (&memo.item.receiver, sig.inputs.first_mut()) {
                *outer = FnArg::Receiver(receiver.arg.clone());
            }
            let infer_output = infer_output(memo);
            // Generated, because rustc would lint the braces as unnecessary.
            let mut inner = body.clone();
            inner.set_span(Span::mixed_site().located_at(body.span()));
            let answer =
                hit_or_compute(memo, &lookup, &quote!(async move { #infer_output #bind_patterns #inner }));
            let body = memo.body.in_braces(quote!(#associated let #lookup = #look; #answer));
            quote!(#(#attrs)* #vis #sig #body)
        }
        Body::Boxed { before, pin, future, .. } => {
            let sig = &memo.item.sig;
            let answer = hit_or_compute(memo, &lookup, future);
            let body = memo.body.in_braces(quote! {
                #before
                #pin(async move {
                    #associated
                    let #lookup = #look;
                    #answer
                })
            });
            quote!(#(#attrs)* #vis #sig #body)
        }
    }
}
