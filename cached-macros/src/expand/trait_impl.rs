//! Writes a method in the impl of a trait.

use proc_macro2::{Span, TokenStream};
use quote::quote;

use super::instance::chain;
use super::key::{Check, key};
use super::signature::{or, outer_sig, rebound, typed, underscore_lint};
use super::{ours, private, scope};
use crate::item::Body;
use crate::memo::Memo;

// In the impl of a trait nothing can stand beside the method:
//
//     async fn find(&self, id: u64) -> User {
//         static SITE: Site = Site::new(...);
//         let looked = SITE.instance(&|| ()).at((Arg::new(&id).part(),), ...).memory(Look);
//         looked.or(move || async move { body }).await
//     }
pub(super) fn alone(memo: &Memo) -> TokenStream {
    let (attrs, vis, scope, p) = (&memo.item.attrs, &memo.item.vis, scope(memo), private());
    let lints = underscore_lint(memo);
    let looked = ours("__looked");
    let look = chain(memo, &quote!(&|| ()), &key(memo, Check::Here), &quote!(#p::Look));
    let rebound = rebound(memo);
    match &memo.body {
        Body::Async(body) => {
            let sig = outer_sig(memo);
            let typed = typed(memo);
            // A block of ours, or rustc has something to say about braces that the user can not leave out.
            let mut body = body.clone();
            body.set_span(Span::mixed_site());
            let or = or(memo, &looked, &quote!(async move { #typed #rebound #body }));
            quote! {
                #(#attrs)*
                #lints
                #vis #sig {
                    #scope
                    let #looked = { #look };
                    #or
                }
            }
        }
        Body::Boxed { before, pin, future, .. } => {
            let sig = &memo.item.sig;
            let or = or(memo, &looked, future);
            quote! {
                #(#attrs)*
                #lints
                #vis #sig {
                    #before
                    #pin(async move {
                        #scope
                        let #looked = { #look };
                        #or
                    })
                }
            }
        }
    }
}
