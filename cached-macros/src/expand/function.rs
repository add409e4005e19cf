//! The expansion of a free function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::companions::{companion_attrs, computing, uncached, uncached_attrs};
use super::entry::entry_fn;
use super::key::{Diagnostics, key, key_params};
use super::signature::{
    call_uncached, cfgs, entry_turbofish, expect_to_allow, hit_or_compute, outer_signature, turbofish,
    underscore_attr,
};
use super::{hygienic, import_private, private};
use crate::item::Body;
use crate::memo::Memo;

// Input:
//
//     #[async_cached(ttl = 60, skip(db))]
//     async fn user(db: &Db, id: u64) -> User { body }
//
// Output:
//
//     async fn user(db: &Db, id: u64) -> User {
//         use cached_runtime::__private;
//         let lookup = user::__at(Look, (Arg::new(&id).part(),));
//         lookup.or(move || user::uncached(db, id)).await
//     }
//     struct user {}
//     impl user {
//         async fn uncached(db: &Db, id: u64) -> User { body }
//     }
//     impl user {
//         companions! {
//             [Self::__entry] (id: u64,) => (Arg::new(&id).part_again(),);
//             (db: &Db, id: u64) -> User, lookup => lookup.or(move || Self::uncached(db, id)).await
//         }
//         fn __at<V: Verb<User>, K: Parts>(operation: V, key: K) -> V::Out {
//             use cached_runtime::__private;
//             static FUNCTION: Site = Site::new(|| Policy::new().ttl(Duration::new(60, 0)));
//             At::new(FUNCTION.instance(&Self::clear), key, Shape::<User>::new().kind(), Shape::<User>::new().absent())
//                 .memory(operation)
//         }
//     }
//
// All names but the user's are in `__private`, which each body imports.
pub(super) fn expand_function(memo: &Memo) -> TokenStream {
    let name = &memo.item.sig.ident;
    let (vis, krate) = (&memo.item.vis, &memo.krate);
    let (cfgs, uncached_attrs, companion_attrs) = (cfgs(memo), uncached_attrs(), companion_attrs());
    let (turbofish, entry_turbofish) = (turbofish(memo), entry_turbofish(memo));
    let key_params = key_params(memo);

    let wrapper =
        wrapper(memo, &quote!(#name::__entry #entry_turbofish), &quote!(#name::uncached #turbofish));
    let uncached = uncached(memo, &format_ident!("uncached"));
    let own_at = quote!(Self::__entry #entry_turbofish);
    let computing = computing(memo, &own_at, &quote!(Self::uncached #turbofish));
    let at = entry_fn(memo, &format_ident!("__entry"), &quote!(Self::clear #turbofish));
    let doc = format!(
        "The cache of [`{name}()`]({name}()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; \
         `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none."
    );

    quote! {
        #wrapper

        #(#cfgs)*
        #[doc = #doc]
        #companion_attrs
        #vis struct #name {}

        #(#cfgs)*
        #uncached_attrs
        impl #name {
            #uncached
        }

        #(#cfgs)*
        #companion_attrs
        impl #name {
            #krate::__private::companions! { (#(#key_params,)*) #computing }
            #at
        }
    }
}

/// The function under its own name: it looks the key up, and calls `uncached` on a miss.
pub(super) fn wrapper(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (attrs, vis) = (memo.item.attrs.iter().map(expect_to_allow), &memo.item.vis);
    let (import_private, p) = (import_private(memo), private());
    let (sig, lints, key) = (outer_signature(memo), underscore_attr(memo), key(memo, Diagnostics::Report));
    let lookup = hygienic("__lookup");
    let answer = hit_or_compute(memo, &lookup, &call_uncached(memo, uncached));
    // Two statements, so that borrows of the first one end before the second one awaits.
    let answer = quote! {
        #import_private
        let #lookup = #at(#p::Get, #key);
        #answer
    };
    let body = match &memo.body {
        Body::Async(_) => quote!({ #answer }),
        Body::Boxed { pin, .. } => quote!({ #pin(async move { #answer }) }),
    };
    quote! {
        #(#attrs)*
        #lints
        #vis #sig #body
    }
}
