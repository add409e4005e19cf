//! Writes a free function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::companions::{companion_attrs, computing, uncached, uncached_attrs};
use super::instance::at;
use super::key::{Check, key, key_params};
use super::signature::{allowed, at_turbofish, cfgs, or, outer_sig, run, turbofish, underscore_lint};
use super::{ours, private, scope};
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
//         let looked = user::__at(Look, (Arg::new(&id).part(),));
//         looked.or(move || user::uncached(db, id)).await
//     }
//     struct user {}
//     impl user {
//         async fn uncached(db: &Db, id: u64) -> User { body }
//     }
//     impl user {
//         companions! {
//             [Self::__at] (id: u64,) => (Arg::new(&id).part_again(),);
//             (db: &Db, id: u64) -> User, looked => looked.or(move || Self::uncached(db, id)).await
//         }
//         fn __at<V: Verb<User>, K: Parts>(verb: V, key: K) -> V::Out {
//             use cached_runtime::__private;
//             static SITE: Site = Site::new(|| Policy::new().ttl(Duration::new(60, 0)));
//             At::new(SITE.instance(&Self::clear), key, Shape::<User>::new().kind(), Shape::<User>::new().absent())
//                 .memory(verb)
//         }
//     }
//
// What is not a name of the user's comes from `__private`; each body brings it into its scope.
pub(super) fn beside_a_function(memo: &Memo) -> TokenStream {
    let name = &memo.item.sig.ident;
    let (vis, krate) = (&memo.item.vis, &memo.krate);
    let (cfgs, uncached_attrs, companion_attrs) = (cfgs(memo), uncached_attrs(), companion_attrs());
    let (turbofish, at_turbofish) = (turbofish(memo), at_turbofish(memo));
    let key_params = key_params(memo);

    let wrapper = wrapper(memo, &quote!(#name::__at #at_turbofish), &quote!(#name::uncached #turbofish));
    let uncached = uncached(memo, &format_ident!("uncached"));
    let own_at = quote!(Self::__at #at_turbofish);
    let computing = computing(memo, &own_at, &quote!(Self::uncached #turbofish));
    let at = at(memo, &format_ident!("__at"), &quote!(Self::clear #turbofish));
    let doc = format!(
        "What has been remembered of [`{name}()`]({name}()): `invalidate`, `expire`, `put` and `peek` take what makes \
         the key, `lookup`, `refresh` and `uncached` every argument, `clear` and `stats` nothing."
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

/// The function under its own name.
pub(super) fn wrapper(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (attrs, vis) = (memo.item.attrs.iter().map(allowed), &memo.item.vis);
    let (scope, p) = (scope(memo), private());
    let (sig, lints, key) = (outer_sig(memo), underscore_lint(memo), key(memo, Check::Here));
    let looked = ours("__looked");
    let or = or(memo, &looked, &run(memo, uncached));
    // Two statements: what the first one borrows is not to be kept while the second one waits.
    let answer = quote! {
        #scope
        let #looked = #at(#p::Look, #key);
        #or
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
