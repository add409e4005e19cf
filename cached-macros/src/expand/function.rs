//! The expansion of a free function.

use proc_macro2::{Delimiter, Group, Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::companions::{
    allow_deprecated, computing, generated_vis, passed_on, passed_to_impl, passed_to_uncached, uncached,
    unused_params,
};
use super::entry::entry_fn;
use super::key::{Diagnostics, key, key_params};
use super::signature::{
    call_uncached, entry_turbofish, expects_unused, generic_in, hit_or_compute, outer_signature, turbofish,
    without_lints_of_the_body,
};
use super::{generated, hygienic, krate, private, runtime_block, runtime_code, span_bounds};
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
//         let lookup = code! {{
//             use cached_runtime::__private as __cached;
//             <user>::__entry(Get, (Arg::new(&id).key_part(),))
//         }};
//         lookup.or_compute(move || <user>::uncached(db, id)).await
//     }
//     struct user {}
//     impl user {
//         async fn uncached(db: &Db, id: u64) -> User { body }
//     }
//     impl user {
//         code! {
//             companions! {
//                 (id: u64,) [] [Self::__entry] => (Arg::new(&id).key_part_unchecked(),);
//                 (db: &Db, id: u64) -> User, lookup => lookup.or_compute(move || Self::uncached(db, id)).await
//             }
//             fn __entry<O: Operation<User>, K: KeyParts>(operation: O, key: K) -> O::Out {
//                 let _ = user;
//                 static FUNCTION: CachedFunction = CachedFunction::new(|| Policy::new().ttl(Duration::new(60, 0)));
//                 EntryRef::new(FUNCTION.instance(&Self::clear), key, ReturnType::<User>::new().kind(), ...)
//                     .memory(operation)
//             }
//         }
//     }
//
// All names but the user's are in `__private` of the runtime, which each body imports.
pub(super) fn expand_function(memo: &Memo) -> TokenStream {
    let function = &memo.item.sig.ident;
    let name = companion_type(memo);
    let (vis, passed_on, to_impl, to_uncached) =
        (generated_vis(memo), passed_on(memo), passed_to_impl(memo), passed_to_uncached(memo));
    let (turbofish, entry_turbofish) = (turbofish(memo), entry_turbofish(memo));
    let (key_params, unused) = (key_params(memo), unused_params(memo));

    // `<user>` and not `user`: if the name is that of something else, the error is the same as that for `impl user`.
    let wrapper =
        wrapper(memo, &quote!(<#name>::__entry #entry_turbofish), &quote!(<#name>::uncached #turbofish));
    let uncached = uncached(memo, &format_ident!("uncached"));
    let own_at = quote!(Self::__entry #entry_turbofish);
    let computing = computing(memo, &own_at, &quote!(Self::uncached #turbofish));
    let marker = quote!(Self::clear #turbofish);
    let at = entry_fn(memo, &format_ident!("__entry"), &marker, &mention(memo, None));
    let krate = krate(memo);
    let companions = runtime_code(
        memo,
        &quote! {
            #krate::__private::companions! { (#(#key_params,)*) [#unused] #computing }
            #at
        },
    );
    let doc = format!(
        "The cache of [`{function}()`]({function}()). `invalidate`, `expire`, `put` and `peek` take the arguments in the key; \
         `lookup`, `refresh` and `uncached` take all arguments; `clear` and `stats` take none."
    );

    // Where the name cannot be defined, the compiler reports it at the name.
    let span = generated(function.span());
    let definition = quote_spanned!(span=> #[non_exhaustive] #vis struct #name {});
    let implementation = quote_spanned!(span=> impl #name);

    quote! {
        #wrapper

        #(#passed_on)*
        #[doc = #doc]
        #definition

        #(#to_impl)*
        #implementation {
            #(#to_uncached)*
            #uncached
        }

        #(#to_impl)*
        #implementation {
            #companions
        }
    }
}

/// A call of the entry function. The compiler reports that a type parameter is not `'static` for the call as well as for
/// the argument of its type, and only once if they have one span.
fn call_entry(memo: &Memo, at: &TokenStream, arguments: TokenStream) -> TokenStream {
    let Some(param) = memo.key_params().find(|param| generic_in(memo, param.ty()).next().is_some()) else {
        return quote!(#at(#arguments));
    };
    let (start, end) = span_bounds(param.ty());
    let at = at.clone().into_iter().map(|mut token| {
        token.set_span(start);
        token
    });
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(end);
    quote!(#(#at)* #arguments)
}

/// A statement of the entry function that mentions the function, or the method of `owner`: where only a companion such as
/// `lookup` is used, the compiler does not report the function as unused. What is expected to be unused is not mentioned.
pub(super) fn mention(memo: &Memo, owner: Option<&Ident>) -> TokenStream {
    if !can_be_mentioned(memo) || memo.item.attrs.iter().any(expects_unused) {
        return TokenStream::new();
    }
    let (mut function, turbofish) = (memo.item.sig.ident.clone(), turbofish(memo));
    function.set_span(generated(function.span()));
    let owner = owner.map(|owner| quote!(#owner::));
    quote!(let _ = #owner #function #turbofish;)
}

/// An argument of type `impl Trait` has a type that cannot be written.
fn can_be_mentioned(memo: &Memo) -> bool {
    memo.item.params.iter().all(|param| param.scan.impl_trait.is_none())
}

/// The name of the type that has the companions.
fn companion_type(memo: &Memo) -> Ident {
    let mut name = memo.companion_type.as_ref().map_or(&memo.item.sig.ident, |option| &option.value).clone();
    name.set_span(generated(name.span()));
    name
}

/// The function under its own name: it looks the key up, and calls `uncached` on a miss.
pub(super) fn wrapper(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (attrs, vis) = (memo.item.attrs.iter().map(without_lints_of_the_body), &memo.item.vis);
    let (p, allow_deprecated) = (private(), allow_deprecated(memo));
    let (sig, key) = (outer_signature(memo), key(memo, Diagnostics::Report));
    let lookup = hygienic("__lookup");
    let looked_up = runtime_block(memo, &call_entry(memo, at, quote!(#p::Get, #key)));
    let answer = hit_or_compute(memo, &lookup, &call_uncached(memo, uncached));
    // Two statements, so that borrows of the first one end before the second one awaits.
    let answer = quote! {
        let #lookup = #looked_up;
        #answer
    };
    let body = match &memo.body {
        Body::Async(_) => answer,
        Body::Boxed { pin, .. } => quote!(#pin(async move { #answer })),
    };
    let body = if can_be_mentioned(memo) {
        memo.body.in_braces(body)
    } else {
        // Not reported as unused, because it may not be.
        Group::new(Delimiter::Brace, body)
    };
    quote! {
        #(#attrs)*
        #allow_deprecated
        #vis #sig #body
    }
}
